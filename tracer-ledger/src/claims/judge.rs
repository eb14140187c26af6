//! Compares one quantity of a strategy with the textbook's number.

use schemars::JsonSchema;
use serde::Serialize;

use super::documents::Strategy;
use super::finding::{Finding, causes, reasons, verdict};
use super::{Condition, Quantity, Verdict, calls, path};
use crate::{Mover, Observation, Provenance, workload::Route};

/// A number of the textbook beside the measured one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Judgement {
    /// The quantity of the numbers.
    pub quantity: Quantity,
    /// The textbook's number; absent if it does not cover the strategy.
    pub documented: Option<f64>,
    /// The measured number; absent when it could not be seen.
    pub measured: Option<f64>,
    /// The provenance of the measured number: derived as soon as a part of it is.
    pub provenance: Provenance,
    /// The verdict of the comparison; absent if the textbook does not cover the strategy.
    pub verdict: Option<Verdict>,
    /// The reasons for a difference, and other remarks on the numbers.
    pub reasons: Vec<String>,
    /// The reasons that change the number, for a sentence.
    #[serde(skip)]
    pub causes: Vec<String>,
}

/// Compares one quantity of the observed strategy with the textbook's number.
pub fn judge(quantity: Quantity, observed: &Observation, conditions: &[Condition]) -> Judgement {
    let number = Some(quantity.of(observed));
    let provenance = quantity.provenance(observed);
    let Some(documented) = Strategy::of(&observed.strategy) else {
        return Judgement {
            quantity,
            documented: None,
            measured: number.filter(|_| quantity.is_whole(observed, conditions)),
            provenance,
            verdict: None,
            reasons: Vec::new(),
            causes: Vec::new(),
        };
    };
    let findings = compare(documented, quantity, observed, conditions);
    let verdict = verdict(&findings);
    Judgement {
        quantity,
        documented: Some(documented.documented(quantity)),
        measured: number.filter(|_| verdict != Verdict::NotMeasurable),
        provenance,
        verdict: Some(verdict),
        causes: causes(&findings),
        reasons: reasons(findings),
    }
}

fn compare(
    documented: &Strategy,
    quantity: Quantity,
    observed: &Observation,
    conditions: &[Condition],
) -> Vec<Finding> {
    match quantity {
        Quantity::SystemCalls => calls::compare_calls(documented, observed),
        Quantity::ModeSwitches => calls::compare_switches(documented, observed),
        copies => path::compare(documented, copies, observed, conditions),
    }
}

impl Quantity {
    /// The measured number.
    pub fn of(self, observed: &Observation) -> f64 {
        match self {
            Self::SystemCalls => observed.per_message(observed.syscalls_total()),
            Self::ModeSwitches => observed.per_message(observed.mode_switches()),
            Self::CpuCopies => observed.copies().cpu,
            Self::DmaCopies => observed.copies().dma,
            Self::AllCopies => observed.copies().total,
        }
    }

    fn rests_on(self, by: Mover) -> bool {
        self.counts(by) || (by == Mover::Reference && self.counts(Mover::Cpu))
    }

    /// Whether the number is complete: payload that arrived must have been seen on its way, and a NIC's
    /// writes into memory are never seen.
    fn is_whole(self, observed: &Observation, conditions: &[Condition]) -> bool {
        let no_nic = [Condition::Loopback, Condition::VirtualNic];
        let from_nic = observed.route == Route::Receive
            && !conditions.iter().any(|condition| no_nic.contains(condition));
        (!self.counts(Mover::Cpu) || observed.unaccounted() <= 0)
            && (!self.counts(Mover::Dma) || !from_nic)
    }

    /// Measured, unless a part of the number is derived. A byte that moved by reference is known not to
    /// be copied by the CPU.
    fn provenance(self, observed: &Observation) -> Provenance {
        observed
            .own()
            .filter(|movement| self.rests_on(movement.by) && movement.bytes > 0)
            .map(|movement| movement.provenance)
            .max()
            .unwrap_or(Provenance::Measured)
    }
}
