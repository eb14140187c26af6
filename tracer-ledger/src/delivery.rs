//! A broker's deliveries: what was seen of one, and how long several rounds of the same took.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Observation, Round, Spread, speed};
use crate::{broker::Flavour, workload::Cache};

/// What was the same in every round of a delivery.
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

/// What of a delivery can be less, and so better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Its duration.
    Time,
    /// The CPU time of the broker.
    CpuTime,
}

impl Delivery {
    /// Messages a second.
    pub fn messages_per_second(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| self.messages as f64 / round.seconds))
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> Spread {
        speed::bytes_per_second(&self.rounds, self.bytes)
    }

    /// CPU seconds of the broker for a GB (10⁹ bytes) delivered.
    pub fn cpu_seconds_per_gb(&self) -> Spread {
        speed::cpu_seconds_per_gb(&self.rounds, self.bytes)
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
