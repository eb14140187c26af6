//! Compares system calls and mode switches with the textbook's numbers, call by call.

use super::Quantity;
use super::documents::Strategy;
use super::finding::{Finding, Weight};
use crate::Observation;

/// The differences in the number of system calls.
pub(super) fn compare_calls(documented: &Strategy, observed: &Observation) -> Vec<Finding> {
    differences(documented, Quantity::SystemCalls, observed)
}

/// The differences in the number of mode switches: each call is two, and so is each page fault taken in
/// user mode.
pub(super) fn compare_switches(documented: &Strategy, observed: &Observation) -> Vec<Finding> {
    let mut findings = differences(documented, Quantity::ModeSwitches, observed);
    if observed.page_faults_user > 0 {
        let reason = format!(
            "{}, in user mode: each is two more mode switches that the textbook leaves out",
            page_faults(observed.page_faults_user, observed.messages)
        );
        findings.push(Finding::new(Weight::Explained, reason));
    }
    if observed.page_faults_kernel > 0 {
        let reason = format!(
            "{}, in kernel mode: no mode switch",
            page_faults(observed.page_faults_kernel, observed.messages)
        );
        findings.push(Finding::new(Weight::Remark, reason));
    }
    findings
}

fn differences(documented: &Strategy, quantity: Quantity, observed: &Observation) -> Vec<Finding> {
    let of_documented = documented
        .calls
        .iter()
        .filter_map(|names| documented_call(documented, names, quantity, observed));
    of_documented.chain(undocumented_calls(documented, observed)).collect()
}

fn documented_call(
    documented: &Strategy,
    names: &[&str],
    quantity: Quantity,
    observed: &Observation,
) -> Option<Finding> {
    let made: u64 = names.iter().filter_map(|&name| observed.syscalls.get(name)).sum();
    let (name, messages) = (names[0], observed.messages);
    if made == messages {
        return None;
    }
    Some(match made {
        0 => Finding::new(Weight::Unexplained, format!("{name}() was never called")),
        1 => {
            let sum = once_for_all(documented, quantity, observed);
            let reason = format!("{name}() is called once for all {messages} messages{sum}");
            Finding::new(Weight::Explained, reason)
        }
        fewer if fewer < messages => {
            let reason = format!("{name}() is called {fewer} times for {messages} messages");
            Finding::new(Weight::Explained, reason)
        }
        more => {
            let messages = many(messages, "message");
            let reason = format!(
                "{name}() is called {more} times for {messages}: partial transfers are finished"
            );
            Finding::new(Weight::Explained, reason)
        }
    })
}

/// The sum if every other call is made once per message, such as `: 1 + 1/256 per message`.
fn once_for_all(documented: &Strategy, quantity: Quantity, observed: &Observation) -> String {
    let messages = observed.messages;
    let others = documented.calls.len() as u64 - 1;
    if others == 0 || observed.syscalls_total() != others * messages + 1 {
        return String::new();
    }
    let each = if quantity == Quantity::ModeSwitches { 2 } else { 1 };
    format!(": {} + {each}/{messages} per message", each * others)
}

fn undocumented_calls<'a>(
    documented: &'a Strategy,
    observed: &'a Observation,
) -> impl Iterator<Item = Finding> + 'a {
    let known = |name: &str| documented.calls.iter().any(|names| names.contains(&name));
    observed.syscalls.iter().filter(move |&(name, &made)| made > 0 && !known(name)).map(
        |(name, &made)| {
            let reason = format!("{name}() is called too, {}", many(made, "time"));
            Finding::new(Weight::Unexplained, reason)
        },
    )
}

fn page_faults(faults: u64, messages: u64) -> String {
    match (faults / messages.max(1), faults % messages.max(1)) {
        (1, 0) => "one page fault per message".into(),
        (each, 0) => format!("{each} page faults per message"),
        _ => format!("{} in {}", many(faults, "page fault"), many(messages, "message")),
    }
}

fn many(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
