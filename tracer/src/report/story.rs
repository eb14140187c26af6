//! What was seen of one strategy, in words.

use super::{Measured, model::MovementRow, words};
use crate::ledger::Side;

/// One short paragraph, without the strategy's name.
pub(super) fn tell(measured: &Measured) -> String {
    let sentences = [
        calls(measured),
        movements(measured.movements_of(measured.side)),
        switches(measured),
        zero_copy(measured),
        retransmitted(measured),
        others(measured),
    ];
    let sentences: Vec<_> = sentences.into_iter().flatten().map(|text| text + ".").collect();
    sentences.join(" ")
}

fn calls(measured: &Measured) -> Option<String> {
    let calls: Vec<_> =
        measured.syscalls.iter().map(|(name, made)| format!("{made} × {name}()")).collect();
    (!calls.is_empty()).then(|| words::joined(calls))
}

fn movements<'a>(movements: impl Iterator<Item = &'a MovementRow>) -> Option<String> {
    let movements: Vec<_> = movements.map(words::movement).collect();
    (!movements.is_empty()).then(|| movements.join("; "))
}

/// Of a payload byte: what the other side moved less of is no payload, such as its answer.
const PAYLOAD: f64 = 0.01;

/// What the other side did, which is none of the measured one's numbers.
fn others(measured: &Measured) -> Option<String> {
    let (side, whose) = match measured.side {
        Side::Sender => (Side::Receiver, "receiver"),
        Side::Receiver => (Side::Sender, "sender"),
    };
    let payload = measured.movements_of(side).filter(|it| it.per_payload_byte >= PAYLOAD);
    movements(payload).map(|way| format!("The {whose}'s own: {way}"))
}

fn switches(measured: &Measured) -> Option<String> {
    let counts = &measured.per_message;
    (counts.context_switches() > 0.0).then(|| {
        format!(
            "{} context switches a message, {} of them voluntary",
            words::rough(counts.context_switches()),
            words::rough(counts.context_switches_voluntary)
        )
    })
}

fn zero_copy(measured: &Measured) -> Option<String> {
    measured.zero_copy.map(|said| {
        let copied = match said.copied {
            Some(copied) => format!("{copied} of them copied"),
            None => "without a word on which of them it copied".to_owned(),
        };
        format!("The kernel's own word: done with {} zero-copy sends, {copied}", said.notifications)
    })
}

fn retransmitted(measured: &Measured) -> Option<String> {
    let bytes = measured.nic_retransmitted_bytes;
    (bytes > 0).then(|| format!("{} went to the NIC again, not counted here", words::size(bytes)))
}
