//! A finding of the comparison, and the verdict from several.

use super::Verdict;

/// The weight of a finding against the textbook's number; the heaviest one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// A remark without effect on the number.
    Remark,
    /// It changes the number, for a known reason.
    Explained,
    /// It changes the number, for an unknown reason.
    Unexplained,
    /// Bytes must have moved where no witness saw them.
    Blind,
}

/// A finding of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    pub(super) reason: String,
}

impl Finding {
    pub(super) fn new(weight: Weight, reason: impl Into<String>) -> Self {
        Self { weight, reason: reason.into() }
    }
}

/// The verdict from the findings: without any, the claim is confirmed.
pub(super) fn verdict(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|finding| finding.weight).max() {
        None | Some(Weight::Remark) => Verdict::Confirmed,
        Some(Weight::Explained) => Verdict::Refined,
        Some(Weight::Unexplained) => Verdict::Refuted,
        Some(Weight::Blind) => Verdict::NotMeasurable,
    }
}

/// The causes of a difference, each once, without the arithmetic that follows a colon.
pub(super) fn causes(findings: &[Finding]) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.weight > Weight::Remark) {
        let cause = finding.reason.split_once(": ").map_or(&*finding.reason, |(cause, _)| cause);
        if !causes.iter().any(|other| other == cause) {
            causes.push(cause.to_owned());
        }
    }
    causes
}

/// The reasons, each once, in the order they were found. Without a number, only its absence is explained.
pub(super) fn reasons(mut findings: Vec<Finding>) -> Vec<String> {
    if verdict(&findings) == Verdict::NotMeasurable {
        findings.retain(|finding| finding.weight == Weight::Blind);
    }
    let mut reasons = Vec::new();
    for finding in findings {
        if !reasons.contains(&finding.reason) {
            reasons.push(finding.reason);
        }
    }
    reasons
}
