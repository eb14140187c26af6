//! The lines below a table: why numbers differ, and for which strategies.

use super::{Measured, Report};
use crate::{
    claims::{Judgement, Quantity, Verdict},
    words,
};

/// One reason, and every number it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) verdict: Verdict,
    quantities: Vec<Quantity>,
    strategies: Vec<String>,
    reason: String,
}

impl Note {
    /// `mmap-write, system calls: mmap() is called once for all 256 messages`
    pub(super) fn text(&self) -> String {
        let (strategies, quantities) =
            (words::joined(self.strategies.clone()), words::quantities(&self.quantities));
        format!("{strategies}, {quantities}: {}", self.reason)
    }
}

/// The reasons in a report, each once: what several numbers or strategies share is said together.
/// `details`: also what moves no number.
pub(super) fn notes(report: &Report, details: bool) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for note in report.measured().flat_map(|measured| of_strategy(measured, details)) {
        let same = notes.iter_mut().find(|other| {
            (other.verdict, &other.quantities, &other.reason)
                == (note.verdict, &note.quantities, &note.reason)
        });
        match same {
            Some(same) => same.strategies.extend(note.strategies),
            None => notes.push(note),
        }
    }
    notes
}

fn of_strategy(measured: &Measured, details: bool) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for (judgement, verdict, reason) in measured.quantities.iter().flat_map(reasons) {
        if !details && !is_cause(judgement, reason) {
            continue;
        }
        match notes.iter_mut().find(|note| (note.verdict, &note.reason) == (verdict, reason)) {
            Some(note) => note.quantities.push(judgement.quantity),
            None => notes.push(Note {
                verdict,
                quantities: vec![judgement.quantity],
                strategies: vec![measured.name.clone()],
                reason: reason.clone(),
            }),
        }
    }
    notes
}

/// Whether it moves the number, or hides it.
fn is_cause(judgement: &Judgement, reason: &str) -> bool {
    judgement.causes.iter().any(|cause| reason.starts_with(cause.as_str()))
}

fn reasons(judgement: &Judgement) -> impl Iterator<Item = (&Judgement, Verdict, &String)> {
    let reasons = judgement.reasons.iter();
    reasons.filter_map(move |reason| Some((judgement, judgement.verdict?, reason)))
}
