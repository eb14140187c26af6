//! A broker's deliveries: what was seen of one, and how long several rounds of the same took.

use schemars::JsonSchema;
use serde::Serialize;

use super::Observation;
use crate::{broker::Flavour, workload::Cache};

/// Bytes of the GB that CPU time is given for.
const GB: f64 = 1e9;

/// The settings of a delivery, the same in every round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The broker's flavour.
    pub flavour: Flavour,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of consumers that got every message at the same time.
    pub consumers: u64,
    /// Whether the log was in the page cache before.
    pub cache: Cache,
}

/// The measurements of one round, without probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// From the first order to the last message, in seconds.
    pub seconds: f64,
    /// CPU time of the broker, in seconds.
    pub cpu_seconds: f64,
}

/// One kind of delivery: rounds for its speed, and one more with probes for its ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The settings, the same in every round.
    pub setting: Setting,
    /// Messages delivered in a round, to all consumers together.
    pub messages: u64,
    /// Bytes of them, with the headers they have in the log.
    pub bytes: u64,
    /// The rounds, in the order they ran: those of the same number ran one after the other.
    pub rounds: Vec<Round>,
    /// The observation of the probes.
    pub observed: Observation,
}

/// Median and extremes of several rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// The costs of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Its duration.
    Time,
    /// The CPU time of the broker.
    CpuTime,
}

impl Spread {
    /// Of some numbers; of none, nothing but zeros.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (numbers.first(), numbers.last()) else {
            return Self::default();
        };
        let middle = (numbers.len() - 1) / 2;
        let median = (numbers[middle] + numbers[numbers.len() / 2]) / 2.0;
        Self { median, min, max }
    }
}

impl Delivery {
    /// Messages a second.
    pub fn messages_per_second(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| self.messages as f64 / round.seconds))
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| self.bytes as f64 / round.seconds))
    }

    /// CPU seconds of the broker for a GB (10⁹ bytes) delivered.
    pub fn cpu_seconds_per_gb(&self) -> Spread {
        let gb = self.bytes as f64 / GB;
        Spread::of(self.rounds.iter().map(|round| round.cpu_seconds / gb))
    }

    /// Whether it cost less than another of the same messages in every round. Rounds that ran one
    /// after the other are compared: what the machine did besides is the same for both.
    pub fn beats(&self, other: &Self, cost: Cost) -> bool {
        let pairs = self.rounds.iter().zip(&other.rounds);
        !self.rounds.is_empty() && pairs.into_iter().all(|(own, its)| cost.of(own) < cost.of(its))
    }
}

impl Cost {
    fn of(self, round: &Round) -> f64 {
        match self {
            Self::Time => round.seconds,
            Self::CpuTime => round.cpu_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of([]), Spread::default());
    }
}
