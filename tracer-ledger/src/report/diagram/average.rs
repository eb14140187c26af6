//! One of many messages, as they were on average: a picture is of one.

use super::words;
use crate::report::{
    Payload, Report,
    strategies::model::{Measured, StrategyRow},
};

/// The report on one message; and of each strategy the calls that are not as many for every message, in
/// words.
pub(super) fn of_one_message(report: &Report) -> (Report, Vec<Option<String>>) {
    let mut one = report.clone();
    one.payload = Payload { messages: 1, ..report.payload };
    let measured = one.strategies.iter_mut().filter_map(|row| match row {
        StrategyRow::Measured(measured) => Some(measured),
        StrategyRow::Skipped(_) => None,
    });
    let messages = report.payload.messages.max(1);
    let besides = measured.map(|measured| divide(measured, messages)).collect();
    (one, besides)
}

fn divide(measured: &mut Measured, messages: u64) -> Option<String> {
    let of_one = |all: u64| (all + messages / 2) / messages;
    for movement in &mut measured.movements {
        movement.bytes = of_one(movement.bytes);
    }
    measured.movements.retain(|movement| movement.bytes > 0);
    // What is unseen stays, however little it is.
    let (unseen, all) = (measured.unaccounted_bytes, messages as i64);
    measured.unaccounted_bytes = if unseen > 0 { (unseen + all - 1) / all } else { unseen / all };
    let calls = std::mem::take(&mut measured.syscalls);
    let uneven: Vec<_> = calls
        .iter()
        .filter(|(_, made)| !made.is_multiple_of(messages))
        .map(|(name, made)| words::calls(*made, name))
        .collect();
    let of_one = calls.into_iter().map(|(name, made)| (name, of_one(made)));
    measured.syscalls = of_one.filter(|(_, made)| *made > 0).collect();
    measured.call_order.retain(|name| measured.syscalls.contains_key(name));
    (!uneven.is_empty()).then(|| words::over_all(messages, uneven))
}
