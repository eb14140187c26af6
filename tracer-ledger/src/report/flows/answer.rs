//! The answer for the whole program, in a sentence: is it zero-copy?

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FlowRow, Report,
    words::{end_name, percent},
};
use crate::{
    Provenance,
    flows::{
        Kind,
        verdict::{Code, is_much},
    },
    ratio, words,
};

/// The sentence.
pub(super) fn answer(report: &Report) -> String {
    let who = programs(report);
    let time = words::time(report.duration_ns as f64);
    if report.flows.is_empty() {
        return format!("No data call was made in {time}: nothing to show.");
    }
    let delivered = payload_of(&report.flows, |row| row.destination.kind != Kind::Memory);
    let read = payload_of(&report.flows, |row| row.destination.kind == Kind::Memory);
    match (delivered, read) {
        (0, 0) => format!("{who} delivered no payload in {time}."),
        (0, read) => {
            format!("{who} read {} in {time}: {}.", words::size(read), copies(report, read))
        }
        // Most of it was not on the way there, and no part of a delivered byte.
        (delivered, read) if read > delivered + delivered / 2 => format!(
            "{who} read {} and delivered {}{} in {time}: {}.",
            words::size(read),
            words::size(delivered),
            destination(report, delivered),
            copies(report, read + delivered)
        ),
        // What was read on the way there is part of it.
        (delivered, _) => format!(
            "{who} delivered {}{} in {time}: {}.",
            words::size(delivered),
            destination(report, delivered),
            copies(report, delivered)
        ),
    }
}

/// `nginx`, `nginx and 2 other programs`
fn programs(report: &Report) -> String {
    let names: BTreeSet<&str> = report.flows.iter().map(|row| row.process.comm.as_str()).collect();
    let first =
        report.shown.first().or(report.flows.first()).map_or("", |row| row.process.comm.as_str());
    match names.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} and another program"),
        more => format!("{first} and {} other programs", more - 1),
    }
}

/// The destination of nearly all bytes, if there is one.
fn destination(report: &Report, delivered: u64) -> String {
    /// The part of the payload that is nearly everything.
    const NEARLY: f64 = 0.9;
    let mut ends = BTreeMap::<(Kind, &str), u64>::new();
    let one_place =
        |row: &&FlowRow| row.destination.files.is_none() && row.destination.kind != Kind::Memory;
    for row in report.shown.iter().filter(one_place) {
        let end = (row.destination.kind, row.destination.name.as_str());
        *ends.entry(end).or_default() += row.payload_bytes;
    }
    let most = ends.into_iter().max_by_key(|(_, bytes)| *bytes);
    let most = most.filter(|(_, bytes)| ratio(*bytes, delivered) >= NEARLY);
    match most {
        None | Some(((_, ""), _)) => String::new(),
        Some(((kind, name), _)) => format!(" to {}", end_name(kind, name)),
    }
}

/// The copies of so many bytes of payload, in words.
fn copies(report: &Report, payload: u64) -> String {
    let total = &report.total;
    let zero_copy = payload_of(&report.flows, |row| row.verdict.code == Code::ZeroCopy);
    let derived = report.flows.iter().any(|row| row.provenance == Provenance::Derived);
    let mark = if derived { "~" } else { "" };
    let is_open = is_much(total.unseen_bytes, payload);
    let mut parts = Vec::new();
    if zero_copy > 0 {
        parts.push(format!("{} zero-copy", percent(zero_copy, payload)));
    }
    let inside: u64 = report.jvm_copies.iter().map(|row| row.bytes).sum();
    match total.cpu_copied_bytes.saturating_sub(inside) {
        0 if zero_copy > 0 || is_open => {}
        copied if zero_copy > 0 || is_open => {
            parts.push(format!(
                "{mark}{} copied by the CPU{}",
                words::size(copied),
                by_call(report)
            ));
        }
        copied => parts
            .push(format!("{mark}{} CPU copies per byte", words::copies(ratio(copied, payload)))),
    }
    if inside > 0 {
        parts.push(format!("{} more inside the JVM", words::size(inside)));
    }
    if is_open {
        parts.push(format!("{} not seen to move", words::size(total.unseen_bytes)));
    }
    parts.join(", ")
}

/// The calls of the flow in which the CPU copied most, if that is most of all.
fn by_call(report: &Report) -> String {
    let copied = |row: &FlowRow| {
        row.copies_per_byte.cpu.map_or(0.0, |copies| copies * row.payload_bytes as f64)
    };
    let most = report.flows.iter().max_by(|one, other| copied(one).total_cmp(&copied(other)));
    let Some(most) = most.filter(|row| copied(row) * 2.0 > report.total.cpu_copied_bytes as f64)
    else {
        return String::new();
    };
    let call = most.syscalls.iter().max_by_key(|(_, made)| **made);
    call.map_or_else(String::new, |(name, _)| format!(", most by {name}()"))
}

fn payload_of(flows: &[FlowRow], is: impl Fn(&FlowRow) -> bool) -> u64 {
    flows.iter().filter(|row| is(row)).map(|row| row.payload_bytes).sum()
}
