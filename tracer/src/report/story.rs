//! What was seen of one strategy, in words.

use super::{Measured, words};
use crate::ledger::Side;

/// One short paragraph, without the strategy's name.
pub(super) fn tell(measured: &Measured) -> String {
    let sentences = [
        calls(measured),
        movements(measured, Side::Sender),
        switches(measured),
        retransmitted(measured),
        movements(measured, Side::Receiver).map(|way| format!("The receiver's own: {way}")),
    ];
    let sentences: Vec<_> = sentences.into_iter().flatten().map(|text| text + ".").collect();
    sentences.join(" ")
}

fn calls(measured: &Measured) -> Option<String> {
    let calls: Vec<_> =
        measured.syscalls.iter().map(|(name, made)| format!("{made} × {name}()")).collect();
    (!calls.is_empty()).then(|| words::joined(calls))
}

fn movements(measured: &Measured, side: Side) -> Option<String> {
    let movements: Vec<_> = measured.movements_of(side).map(words::movement).collect();
    (!movements.is_empty()).then(|| movements.join("; "))
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

fn retransmitted(measured: &Measured) -> Option<String> {
    let bytes = measured.nic_retransmitted_bytes;
    (bytes > 0).then(|| format!("{} went to the NIC again, not counted here", words::size(bytes)))
}
