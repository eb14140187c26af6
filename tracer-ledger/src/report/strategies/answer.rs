//! The answer in a sentence or two: is the textbook right on this kernel?

use super::{Measured, Report};
use crate::{
    Provenance, Spread,
    claims::{Judgement, Quantity, TOLERANCE, Verdict},
    words::{self, joined},
};

/// The sentences, of which each is a line of its own.
pub(in crate::report) fn answer(report: &Report) -> Vec<String> {
    about_copies_and_calls(report).into_iter().chain(about_cost(report)).collect()
}

fn about_copies_and_calls(report: &Report) -> Vec<String> {
    let documented: Vec<&Measured> = report.measured().filter(|it| it.is_documented()).collect();
    if documented.is_empty() {
        return extremes(report).into_iter().collect();
    }
    let mut sentences = vec![about_copies(report, &documented)];
    sentences.extend(documented.iter().filter_map(|measured| about_calls(measured)));
    let is_derived = |measured: &&Measured| {
        let copies = measured.judged(Quantity::CpuCopies);
        copies.is_some_and(|judged| judged.provenance == Provenance::Derived)
    };
    if documented.iter().any(is_derived) {
        sentences.push("CPU copies are derived from return values here, not measured.".to_owned());
    }
    sentences
}

/// For strategies without a textbook: the fewest copies, and the most.
fn extremes<'a>(report: &'a Report) -> Option<String> {
    let copies = |measured: &'a Measured| {
        let judged = measured.judged(Quantity::CpuCopies)?;
        Some((judged.measured?, words::number(judged)?, &measured.name))
    };
    let mut known: Vec<_> = report.measured().filter_map(copies).collect();
    known.sort_by(|one, other| one.0.total_cmp(&other.0));
    let [(fewest, least, first), .., (most, greatest, last)] = known.as_slice() else {
        return None;
    };
    (most - fewest > TOLERANCE).then(|| {
        format!(
            "The CPU copies each byte {least} times with {first}, the fewest here, and {greatest} \
             times with {last}, the most."
        )
    })
}

/// `6.12.41` of `6.12.41+deb13-amd64`
fn version(release: &str) -> &str {
    let end = release.find(|it: char| !it.is_ascii_digit() && it != '.');
    &release[..end.unwrap_or(release.len())]
}

fn about_copies(report: &Report, documented: &[&Measured]) -> String {
    let kernel = format!("Linux {}", version(&report.environment.kernel));
    let worst = |measured: &&Measured| measured.worst(|judged| judged.quantity.is_copies());
    let such = |verdict: Verdict| {
        let names = documented.iter().filter(|it| worst(it) == Some(verdict));
        joined(names.map(|measured| measured.name.clone()).collect())
    };
    let worst = documented.iter().filter_map(worst).max().unwrap_or(Verdict::NotTested);
    match worst {
        Verdict::Confirmed => {
            format!("The textbook is right about the copies on this kernel ({kernel}).")
        }
        Verdict::Refined => format!(
            "The textbook is right about the copies on this kernel ({kernel}), except \
             for the conditions of this run: {}.",
            conditions(documented)
        ),
        Verdict::Refuted => format!(
            "The textbook is wrong about the copies of {} on this kernel ({kernel}).",
            such(Verdict::Refuted)
        ),
        Verdict::NotMeasurable | Verdict::NotTested => format!(
            "Whether the textbook is right about the copies of {} cannot be seen here ({kernel}): \
             bytes moved that no probe saw.",
            such(worst)
        ),
    }
}

/// Why copies are others than the textbook's, each reason once.
fn conditions(documented: &[&Measured]) -> String {
    let differ = documented
        .iter()
        .flat_map(|measured| &measured.quantities)
        .filter(|judged| judged.quantity.is_copies() && judged.verdict == Some(Verdict::Refined));
    each_once(differ).join(", and ")
}

/// `About mmap-write it is wrong in one thing: mmap() is called once for all 256 messages.`
fn about_calls(measured: &Measured) -> Option<String> {
    let differ = measured
        .quantities
        .iter()
        .filter(|judged| !judged.quantity.is_copies() && judged.verdict > Some(Verdict::Confirmed));
    let things = each_once(differ);
    let count = match things.len() {
        0 => return None,
        1 => "one thing".to_owned(),
        more => format!("{more} things"),
    };
    Some(format!(
        "About the calls of {} it is wrong in {count}: {}.",
        measured.name,
        things.join("; ")
    ))
}

/// How many strategies are compared one by one: of more, the cheapest and the dearest.
const FEW: usize = 4;

/// Whether it matters: the CPU time of strategies on the same route, the cheapest first.
///
/// `CPU time per MiB on this machine: sendfile 81.3 µs, read-write 313 µs (3.9 times as much).`
fn about_cost(report: &Report) -> Option<String> {
    let route = report.measured().next()?.route;
    let of_route = report.measured().filter(|measured| measured.route == route);
    let cost = |measured: &Measured| {
        let speed = measured.speed?;
        Some((measured.name.clone(), speed.cpu_ns_per_mib()))
    };
    let mut costs: Vec<(String, Spread)> = of_route.filter_map(cost).collect();
    costs.sort_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
    let mut which = "";
    if costs.len() > FEW {
        which = ", least and most";
        costs.drain(1..costs.len() - 1);
    }
    let [(cheapest, least), others @ ..] = costs.as_slice() else { return None };
    if others.is_empty() || least.median <= 0.0 {
        return None;
    }
    let mut parts = vec![format!("{cheapest} {}", words::time(least.median))];
    let mut unit = "times as much";
    for (name, cost) in others {
        let mut beside = "spreads overlap".to_owned();
        if least.is_below(cost) {
            beside = format!("{} {unit}", times(cost.median / least.median));
            unit = "times";
        }
        parts.push(format!("{name} {} ({beside})", words::time(cost.median)));
    }
    let busy = if report.was_busy() { "busy " } else { "" };
    Some(format!("CPU time per MiB on this {busy}machine{which}: {}.", parts.join(", ")))
}

/// `3.9`; `1.04` rather than `1.0`
fn times(ratio: f64) -> String {
    if ratio < 1.05 { format!("{ratio:.2}") } else { format!("{ratio:.1}") }
}

/// The causes, each once.
fn each_once<'a>(judged: impl Iterator<Item = &'a Judgement>) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in judged.flat_map(|judged| &judged.causes) {
        if !causes.contains(cause) {
            causes.push(cause.clone());
        }
    }
    causes
}
