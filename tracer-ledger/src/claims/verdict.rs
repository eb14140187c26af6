//! The verdicts on the textbook's claims about one strategy.

use schemars::JsonSchema;
use serde::Serialize;

use super::documents::{CLAIMS, Claim};
use super::{Condition, Judgement, Quantity, TOLERANCE, Verdict, judge, path};
use crate::{Observation, Provenance};

/// A claim of the textbook, and the verdict of the measurement.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ClaimVerdict {
    /// The claim's number, such as `T1`.
    pub id: String,
    /// The textbook's claim.
    pub text: String,
    /// The quantity of the two numbers.
    pub quantity: Quantity,
    /// The textbook's number.
    pub documented: f64,
    /// The measured number; `null` when it could not be seen.
    pub measured: Option<f64>,
    /// The provenance of the measured number.
    pub provenance: Provenance,
    /// The verdict of the comparison.
    pub verdict: Verdict,
    /// The reason, with the evidence; empty if there is nothing to add.
    pub note: String,
}

/// The verdicts on all claims about the observed strategy. `others` are the other strategies that
/// were measured, for the claims that compare two.
pub fn judge_claims(
    observed: &Observation,
    others: &[&Observation],
    conditions: &[Condition],
) -> Vec<ClaimVerdict> {
    CLAIMS
        .iter()
        .filter(|claim| claim.strategy == observed.strategy)
        .filter_map(|claim| claim_verdict(claim, observed, others, conditions))
        .collect()
}

fn claim_verdict(
    claim: &Claim,
    observed: &Observation,
    others: &[&Observation],
    conditions: &[Condition],
) -> Option<ClaimVerdict> {
    let judgement = judge(claim.quantity, observed, conditions);
    let (documented, mut verdict) = (judgement.documented?, judgement.verdict?);
    let mut notes = judgement.reasons.clone();
    if let Some((note, holds)) = one_fewer(claim, &judgement, others) {
        notes.push(note);
        if !holds {
            verdict = verdict.max(Verdict::Refuted);
        }
    }
    notes.extend(caveats(&judgement, observed));
    if claim.quantity.is_copies() {
        notes.push(path::evidence(observed));
    }
    Some(ClaimVerdict {
        id: claim.id.into(),
        text: claim.text.into(),
        quantity: claim.quantity,
        documented,
        measured: judgement.measured,
        provenance: judgement.provenance,
        verdict,
        note: notes.join("; "),
    })
}

/// The difference to the strategy it is compared with, and whether that is one.
fn one_fewer(
    claim: &Claim,
    judgement: &Judgement,
    others: &[&Observation],
) -> Option<(String, bool)> {
    let other = others.iter().find(|other| Some(&*other.strategy) == claim.one_fewer_than)?;
    let (quantity, theirs) = (claim.quantity, claim.quantity.of(other));
    let fewer = theirs - judgement.measured?;
    let note = format!("{fewer:.2} {quantity} fewer than {} ({theirs:.2})", other.strategy);
    Some((note, (fewer - 1.0).abs() <= TOLERANCE))
}

fn caveats(judgement: &Judgement, observed: &Observation) -> Vec<String> {
    let mut caveats = Vec::new();
    if judgement.provenance == Provenance::Derived {
        caveats.push(format!("derived from {}", sources(judgement.quantity, observed)));
    }
    if observed.lost_events > 0 {
        caveats.push(format!("a lower bound: {} events were lost", observed.lost_events));
    }
    caveats
}

/// The sources of the derived parts of a number, each once.
fn sources(quantity: Quantity, observed: &Observation) -> String {
    let mut sources: Vec<&str> = Vec::new();
    for movement in observed.own() {
        let derived = movement.provenance == Provenance::Derived && quantity.counts(movement.by);
        if derived && !sources.contains(&&*movement.witness) {
            sources.push(&movement.witness);
        }
    }
    sources.join(", ")
}
