//! The one model that every format is a view of. Its JSON is documented in `docs/json.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Environment;
use crate::{
    claims::{ClaimVerdict, Condition, Judgement, Quantity, judge, judge_claims},
    ledger::{Copies, Movement, Mover, Observation, Place, Provenance, Side, merge},
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/strategies/1";

/// How one strategy ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It ran, and this is what was seen.
    Measured(Observation),
    /// It did not run, or not to its end.
    Skipped(Skipped),
}

/// What was measured of the strategies, beside what the documents claim of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Where and how it was measured.
    pub environment: Environment,
    /// What was sent.
    pub payload: Payload,
    /// Events lost over all strategies. Other than 0, every number is a lower bound.
    pub lost_events: u64,
    /// What to know before trusting the numbers.
    pub warnings: Vec<String>,
    /// The strategies, in the order they ran.
    pub strategies: Vec<StrategyRow>,
}

/// What every strategy sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Payload {
    /// Size of one message, in bytes.
    pub message_bytes: u64,
    /// How many messages.
    pub messages: u64,
}

/// One strategy: measured, or skipped for a reason.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StrategyRow {
    /// It was measured.
    Measured(Box<Measured>),
    /// It was not.
    Skipped(Skipped),
}

/// A strategy that did not run, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// The strategy's name.
    pub name: String,
    /// Why it was skipped.
    pub skipped: String,
}

/// A strategy that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// The strategy's name.
    pub name: String,
    /// Counts a message.
    pub per_message: PerMessage,
    /// System calls in the window, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Copies per payload byte: the sender's, with what the kernel did later for its socket.
    pub copies: Copies,
    /// Every number that the documents have one for, side by side with theirs.
    pub quantities: Vec<Judgement>,
    /// The way of the bytes, the sender's before the receiver's.
    pub movements: Vec<MovementRow>,
    /// The documents' claims about the strategy.
    pub claims: Vec<ClaimVerdict>,
    /// Payload bytes the consumer received and checked.
    pub payload_bytes: u64,
    /// Payload bytes that were not seen entering the sender's socket; negative when more was seen
    /// than arrived.
    pub unaccounted_bytes: i64,
    /// Protocol headers handed to the network device, in bytes.
    pub nic_header_bytes: u64,
    /// Payload handed to the network device again, in bytes.
    pub nic_retransmitted_bytes: u64,
    /// File system metadata read from disk, in bytes.
    pub disk_metadata_bytes: u64,
    /// Events lost in this strategy's window.
    pub lost_events: u64,
}

/// Counts of one strategy, each for one message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PerMessage {
    /// System calls.
    pub syscalls: f64,
    /// Switches between user and kernel mode, each way counted.
    pub mode_switches: f64,
    /// Times the scheduler took the CPU from the sender because it had to wait.
    pub context_switches_voluntary: f64,
    /// Times the scheduler took the CPU from the sender though it could have run on.
    pub context_switches_involuntary: f64,
    /// Page faults taken in user mode.
    pub page_faults_user: f64,
    /// Page faults taken in kernel mode.
    pub page_faults_kernel: f64,
}

/// Bytes that went from one place to another.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MovementRow {
    /// Where the bytes were.
    pub from: Place,
    /// Where they are now, or also are.
    pub to: Place,
    /// What moved them.
    pub by: Mover,
    /// Who paid.
    pub side: Side,
    /// Bytes moved in the window.
    pub bytes: u64,
    /// How many times the witness fired.
    pub calls: u64,
    /// Bytes moved per payload byte.
    pub per_payload_byte: f64,
    /// How the number was come by.
    pub provenance: Provenance,
    /// What in the kernel saw it; several are joined by `, `, the busiest first.
    pub witness: String,
    /// Bytes that hardware breakpoints saw, under `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_bytes: Option<u64>,
    /// How far `bytes` is from `verified_bytes`, as a part of the latter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<f64>,
}

impl Report {
    /// Compares the outcomes with the documents.
    pub fn new(environment: Environment, payload: Payload, outcomes: &[Outcome]) -> Self {
        let observations: Vec<_> = outcomes.iter().filter_map(Outcome::observation).collect();
        let conditions = environment.conditions();
        let row = |outcome: &Outcome| match outcome {
            Outcome::Measured(observed) => {
                let measured = Measured::new(observed, &observations, &conditions);
                StrategyRow::Measured(Box::new(measured))
            }
            Outcome::Skipped(skipped) => StrategyRow::Skipped(skipped.clone()),
        };
        Self {
            schema: SCHEMA.into(),
            environment,
            payload,
            lost_events: observations.iter().map(|observed| observed.lost_events).sum(),
            warnings: observations.iter().flat_map(|observed| warnings(observed)).collect(),
            strategies: outcomes.iter().map(row).collect(),
        }
    }

    /// The strategies that were measured.
    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.strategies.iter().filter_map(|row| match row {
            StrategyRow::Measured(measured) => Some(&**measured),
            StrategyRow::Skipped(_) => None,
        })
    }

    /// The strategies that were not.
    pub fn skipped(&self) -> impl Iterator<Item = &Skipped> {
        self.strategies.iter().filter_map(|row| match row {
            StrategyRow::Measured(_) => None,
            StrategyRow::Skipped(skipped) => Some(skipped),
        })
    }
}

impl Outcome {
    /// A strategy that did not run, or not to its end.
    pub fn skipped(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Skipped(Skipped { name: name.into(), skipped: reason.into() })
    }

    fn observation(&self) -> Option<&Observation> {
        match self {
            Self::Measured(observed) => Some(observed),
            Self::Skipped(_) => None,
        }
    }
}

impl From<Observation> for Outcome {
    fn from(observed: Observation) -> Self {
        Self::Measured(observed)
    }
}

impl Measured {
    fn new(observed: &Observation, all: &[&Observation], conditions: &[Condition]) -> Self {
        let judged = |quantity| judge(quantity, observed, conditions);
        let row = |movement| MovementRow::new(movement, observed);
        Self {
            name: observed.strategy.clone(),
            per_message: PerMessage::new(observed),
            syscalls: observed.syscalls.clone(),
            copies: observed.copies(),
            quantities: Quantity::ALL.into_iter().map(judged).collect(),
            movements: merge(&observed.movements).into_iter().map(row).collect(),
            claims: judge_claims(observed, all, conditions),
            payload_bytes: observed.payload_bytes,
            unaccounted_bytes: observed.unaccounted(),
            nic_header_bytes: observed.nic_header_bytes,
            nic_retransmitted_bytes: observed.nic_retransmitted_bytes,
            disk_metadata_bytes: observed.disk_metadata_bytes,
            lost_events: observed.lost_events,
        }
    }

    /// The movements of one side.
    pub fn movements_of(&self, side: Side) -> impl Iterator<Item = &MovementRow> {
        self.movements.iter().filter(move |movement| movement.side == side)
    }
}

impl PerMessage {
    fn new(observed: &Observation) -> Self {
        Self {
            syscalls: observed.per_message(observed.syscalls_total()),
            mode_switches: observed.per_message(observed.mode_switches()),
            context_switches_voluntary: observed.per_message(observed.context_switches_voluntary),
            context_switches_involuntary: observed
                .per_message(observed.context_switches_involuntary),
            page_faults_user: observed.per_message(observed.page_faults_user),
            page_faults_kernel: observed.per_message(observed.page_faults_kernel),
        }
    }

    /// Context switches of both kinds.
    pub fn context_switches(&self) -> f64 {
        self.context_switches_voluntary + self.context_switches_involuntary
    }
}

impl MovementRow {
    fn new(movement: Movement, observed: &Observation) -> Self {
        Self {
            from: movement.from,
            to: movement.to,
            by: movement.by,
            side: movement.side,
            bytes: movement.bytes,
            calls: movement.calls,
            per_payload_byte: observed.per_payload_byte(movement.bytes),
            provenance: movement.provenance,
            verified_bytes: movement.verified_bytes,
            disagreement: movement.disagreement().filter(|part| part.is_finite()),
            witness: movement.witness,
        }
    }
}

/// What to know before trusting what was seen of one strategy.
fn warnings(observed: &Observation) -> Vec<String> {
    let mut warnings = Vec::new();
    let (name, unaccounted) = (&observed.strategy, observed.unaccounted());
    if unaccounted > 0 {
        warnings.push(format!(
            "{name}: {unaccounted} of {} payload bytes were not seen entering the socket",
            observed.payload_bytes
        ));
    }
    if unaccounted < 0 {
        warnings.push(format!(
            "{name}: {} bytes more than the payload were seen entering the socket",
            unaccounted.unsigned_abs()
        ));
    }
    let sent = observed.message_bytes * observed.messages;
    if observed.payload_bytes != sent {
        warnings.push(format!(
            "{name}: the consumer checked {} bytes of {sent}",
            observed.payload_bytes
        ));
    }
    warnings
}
