//! The texts of the pictures: all of them are here.

use crate::workload::Route;

use super::parts::{Arrow, Kind, Spot, Zone};
use crate::{
    Mover, Provenance, Side, Tier,
    claims::{Quantity, Verdict},
    report::strategies::model::{Measured, MovementRow, Payload},
    words::{joined, mark, size},
};

/// Stands before a number that is derived.
pub(super) const DERIVED: &str = "~";

/// Stands for a number that unseen bytes leave open.
pub(super) const OPEN: &str = "?";

/// Stands behind the textbook's numbers.
pub(super) const TEXTBOOK: &str = "textbook";

/// The meaning of a mover's arrow.
pub(in crate::report) fn meaning(by: Mover) -> &'static str {
    match by {
        Mover::Dma => "copied by a device (DMA)",
        Mover::Cpu => "copied by the CPU",
        Mover::Reference => "passed on by reference",
        Mover::Cipher => "encrypted",
    }
}

pub(super) const UNSEEN: &str = "unseen: no probe saw it move";
pub(super) const SWITCHES: &str = "mode switches, in order";
pub(super) const IS_DERIVED: &str = "~ derived, not measured";
pub(super) const TEXTBOOK_NUMBERS: &str = "below a number: the textbook's";

/// The name of a part of the machine.
pub(super) fn zone(zone: Zone) -> &'static str {
    match zone {
        Zone::User => "user",
        Zone::Kernel => "kernel",
        Zone::Devices => "devices",
    }
}

/// The name of a place.
pub(super) fn spot(spot: Spot, route: Route) -> &'static str {
    let is_between_processes = route == Route::ProcessToProcess;
    match spot {
        Spot::Disk => "disk",
        Spot::PageCache => "page cache",
        Spot::User if is_between_processes => "sender",
        Spot::User => "user buffer",
        Spot::Pipe => "pipe",
        Spot::Kernel => "kernel buffer",
        Spot::Socket => "socket buffer",
        Spot::Nic => "NIC",
        Spot::SecondUser if is_between_processes => "receiver",
        Spot::SecondUser => "2nd buffer",
        Spot::SecondPageCache => "2nd page cache",
        Spot::SecondDisk => "disk, 2nd file",
        Spot::Unseen => "?",
    }
}

/// The labels of an arrow, the most detailed first.
pub(super) fn labels(arrow: &Arrow) -> Vec<String> {
    let derived = if arrow.is_derived { DERIVED } else { "" };
    let bytes = arrow.bytes.map(|bytes| format!("{derived}{}", size(bytes)));
    let Some(bytes) = bytes else { return vec!["unseen".to_owned()] };
    let said: &[&str] = match arrow.kind {
        Kind::Moved(Mover::Dma) => &["DMA"],
        Kind::Moved(Mover::Cpu) => &["CPU"],
        Kind::Moved(Mover::Reference) => &["by reference", "by ref."],
        Kind::Moved(Mover::Cipher) => &["encrypted"],
        Kind::Unseen => return vec![format!("{bytes} unseen"), "unseen".to_owned()],
    };
    let long = said.iter().map(|said| format!("{bytes} {said}"));
    long.chain([bytes.clone()]).collect()
}

/// `64 KiB copied by the CPU`
pub(super) fn moved(arrow: &Arrow) -> String {
    let derived = if arrow.is_derived { ", derived" } else { "" };
    match (arrow.kind, arrow.bytes) {
        (Kind::Moved(by), Some(bytes)) => format!("{} {}{derived}", size(bytes), meaning(by)),
        (Kind::Moved(by), None) => format!("{}{derived}", meaning(by)),
        (Kind::Unseen, Some(bytes)) => format!("{} unseen", size(bytes)),
        (Kind::Unseen, None) => "unseen".to_owned(),
    }
}

/// `system calls`, `system call`
pub(super) fn noun(quantity: Quantity, is_one: bool) -> &'static str {
    match (quantity, is_one) {
        (Quantity::SystemCalls, true) => "system call",
        (Quantity::SystemCalls, false) => "system calls",
        (Quantity::ModeSwitches, true) => "mode switch",
        (Quantity::ModeSwitches, false) => "mode switches",
        (Quantity::CpuCopies, true) => "CPU copy",
        (Quantity::CpuCopies, false) => "CPU copies",
        (Quantity::DmaCopies, true) => "DMA copy",
        (Quantity::DmaCopies, false) => "DMA copies",
        (Quantity::AllCopies, true) => "copy",
        (Quantity::AllCopies, false) => "copies",
    }
}

/// The comparison with the textbook's numbers. `difference`: such as `more copies`.
pub(super) fn verdict(verdict: Option<Verdict>, difference: &str) -> String {
    let words = match verdict {
        None => return "no textbook speaks of it".to_owned(),
        Some(Verdict::Confirmed) => "as the textbook says".to_owned(),
        Some(Verdict::Refined | Verdict::Refuted) => {
            format!("{difference} than the textbook says")
        }
        Some(Verdict::NotMeasurable | Verdict::NotTested) => {
            "not to be compared: bytes are unseen".to_owned()
        }
    };
    format!("{} {words}", verdict.map_or(' ', mark))
}

/// `read()`
pub(super) fn call(name: &str) -> String {
    format!("{name}()")
}

/// `2 × splice()`
pub(super) fn calls(made: u64, name: &str) -> String {
    if made == 1 { call(name) } else { format!("{made} × {}", call(name)) }
}

pub(super) fn number_of_calls(calls: u64) -> String {
    if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") }
}

pub(super) fn number_of_switches(switches: u64) -> String {
    format!("{switches} switches")
}

pub(super) fn number_of_faults(faults: u64) -> String {
    if faults == 1 { "1 page fault".to_owned() } else { format!("{faults} page faults") }
}

/// Of calls in a known order that are too many to draw.
pub(super) fn in_order(names: &[String]) -> String {
    format!("The calls, in order: {}.", joined(in_a_row(names)))
}

/// Repeated calls in a row, named once.
fn in_a_row(names: &[String]) -> Vec<String> {
    let rows = names.chunk_by(|one, other| one == other);
    rows.filter_map(|row| Some(calls(row.len() as u64, row.first()?))).collect()
}

/// Of calls in no known order.
pub(super) fn counted(made: &[(String, u64)]) -> String {
    let made = made.iter().map(|(name, made)| calls(*made, name)).collect();
    format!("Counted, in an order that is not known: {}.", joined(made))
}

/// Of calls that are not as many for every message. `calls`: for all messages together.
pub(super) fn over_all(messages: u64, calls: Vec<String>) -> String {
    format!("Over all {messages} messages: {}.", joined(calls))
}

/// Of a picture of one of many.
pub(super) fn average(messages: u64) -> String {
    format!("Each picture is of one of the {messages} messages, on average.")
}

/// Of page faults in user mode.
pub(super) fn faults(faults: u64) -> String {
    format!(
        "{} in user mode, each two mode switches: counted, not placed among the calls.",
        number_of_faults(faults)
    )
}

pub(super) const NO_CALLS: &str = "No system call, and so no mode switch.";

/// Of a pipe that is no program's.
pub(super) fn inside(call_name: &str, movement: &MovementRow) -> String {
    format!("Inside {}, through a pipe of the kernel's own: {}.", call(call_name), said(movement))
}

/// Of what is drawn as leaving a place that no probe saw it leave.
pub(super) fn through(between: Spot, route: Route) -> String {
    format!("Drawn through the {}: as many bytes entered it as then went on.", spot(between, route))
}

pub(super) fn few(movements: &[&MovementRow]) -> String {
    format!("Too few bytes to draw: {}.", all(movements))
}

pub(super) fn not_drawn(arrows: &[String]) -> String {
    format!("No room to draw: {}.", joined(arrows.to_vec()))
}

pub(super) fn of_other_side(side: Side, movements: &[&MovementRow]) -> String {
    let who = match side {
        Side::Sender => "sender",
        Side::Receiver => "receiver",
    };
    format!("At the {who}, not drawn: {}.", all(movements))
}

fn all(movements: &[&MovementRow]) -> String {
    joined(movements.iter().map(|movement| said(movement)).collect())
}

/// `disk → page cache 64 KiB (DMA)`
fn said(movement: &MovementRow) -> String {
    let derived = match movement.provenance {
        Provenance::Derived => DERIVED,
        Provenance::Measured => "",
    };
    format!("{} {derived}{} ({})", movement.way(), size(movement.bytes), movement.by)
}

/// `disk → page cache 64 KiB copied by a device (DMA)`
pub(super) fn arrow(arrow: &Arrow, route: Route) -> String {
    let (from, to) = (spot(arrow.from, route), spot(arrow.to, route));
    format!("{from} → {to} {}", moved(arrow))
}

/// The sources of the derived numbers.
pub(super) fn derived(sources: Vec<String>) -> String {
    format!("~ derived from: {}.", joined(sources))
}

/// Why payload was not seen on its way.
pub(super) fn unseen(bytes: u64, route: Route, tier: Tier) -> String {
    let why = match tier {
        Tier::Tracepoint => {
            "without function probes, what the calls returned does not tell how they moved"
        }
        Tier::Fentry | Tier::Kprobe => "no probe on this kernel is on the way they took",
    };
    format!("{} were not seen {}: {why}.", size(bytes), route.delivery())
}

pub(super) const FROM_NIC: &str = "What a NIC puts into memory, no probe sees.";

/// Why a device's copy was not seen.
pub(super) fn unseen_dma(reasons: &[String]) -> String {
    let reasons = reasons.join("; ");
    let reason = if reasons.is_empty() { "a device's copy was not seen" } else { &reasons };
    format!("Unseen: {reason}.")
}

/// The most strategies that a title names.
const MOST_NAMES: usize = 3;

/// The title of the pictures.
pub(super) fn title(names: Vec<String>, payload: &Payload) -> String {
    let by = match names.len() {
        1..=MOST_NAMES => joined(names),
        number => format!("{number} strategies"),
    };
    format!("The way of {} by {by}", payload)
}

/// The note on a strategy without a picture, and the reason.
pub(super) fn skipped(name: &str, reason: &str) -> String {
    format!("{name} was skipped: {reason}")
}

/// The description of a picture, for those who cannot see it. `arrows`: each in words.
pub(super) fn description(measured: &Measured, counts: &str, arrows: Vec<String>) -> String {
    format!("{}: {counts}. {}.", measured.name, arrows.join("; "))
}
