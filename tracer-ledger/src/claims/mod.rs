//! The textbook's claims, as data, and their comparison with the measurement.
//!
//! [`documents`] holds the claims. [`judge`] compares one quantity of a strategy with them, and
//! [`judge_claims`] all the claims about a strategy. Both know nothing of where the numbers came
//! from: they see an [`Observation`](crate::Observation), and the [`Condition`]s it was
//! made under.

pub mod brokers;
mod calls;
mod condition;
pub mod documents;
mod finding;
mod judge;
mod path;
mod verdict;

pub use condition::Condition;
pub use judge::{Judgement, judge};
pub use verdict::{ClaimVerdict, judge_claims};

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// The difference up to which two numbers of copies per payload byte count as equal.
pub const TOLERANCE: f64 = 0.02;

/// A quantity for which both the textbook and the measurement have a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// System calls per message.
    SystemCalls,
    /// Mode switches per message, in both directions.
    ModeSwitches,
    /// Copies by the CPU per payload byte.
    CpuCopies,
    /// Copies by a device per payload byte.
    DmaCopies,
    /// Copies by either per payload byte.
    AllCopies,
}

impl Quantity {
    /// Every quantity, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::SystemCalls, Self::ModeSwitches, Self::CpuCopies, Self::DmaCopies, Self::AllCopies];

    /// Whether the number is in copies per payload byte; if not, it is a count per message.
    pub fn is_copies(self) -> bool {
        !matches!(self, Self::SystemCalls | Self::ModeSwitches)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SystemCalls => "system calls",
            Self::ModeSwitches => "mode switches",
            Self::CpuCopies => "CPU copies",
            Self::DmaCopies => "DMA copies",
            Self::AllCopies => "all copies",
        })
    }
}

/// The verdict of a measurement on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The number is the textbook's.
    Confirmed,
    /// The number differs, for a known reason that is given.
    Refined,
    /// The number differs, for no known reason.
    Refuted,
    /// The subject of the claim could not be seen.
    NotMeasurable,
    /// The measurement cannot test the claim.
    NotTested,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Confirmed => "confirmed",
            Self::Refined => "refined",
            Self::Refuted => "refuted",
            Self::NotMeasurable => "not measurable",
            Self::NotTested => "not tested",
        })
    }
}
