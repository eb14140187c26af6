//! The one model that every format is a view of. Its JSON is documented in `docs/json.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Environment;
use crate::{
    Copies, Movement, Mover, Observation, Place, Provenance, Round, Side, Speed, Warning,
    WarningRow, ZeroCopy,
    claims::{
        ClaimVerdict, Condition, Judgement, Quantity, TOLERANCE, Verdict, judge, judge_claims,
    },
    expect::Expectation,
    merge, ratio,
    report::Origin,
    workload::{CheckedBy, Route},
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/strategies/2";

/// The outcome of one strategy.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It ran.
    Measured {
        /// What was seen.
        observed: Observation,
        /// Rounds of the same without probes.
        rounds: Vec<Round>,
    },
    /// It did not run, or not to its end.
    Skipped(Skipped),
}

/// The measurements of the strategies, beside the textbook's claims.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The origin of this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The environment of the measurement.
    pub environment: Environment,
    /// The payload.
    pub payload: Payload,
    /// Events lost over all strategies. Other than 0, every number is a lower bound.
    pub lost_events: u64,
    /// Warnings about the numbers.
    pub warnings: Vec<WarningRow>,
    /// The strategies, in the order they ran.
    pub strategies: Vec<StrategyRow>,
    /// The result of each rule; absent without rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expectation>,
}

/// The payload of every strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Payload {
    /// Size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of messages.
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
    /// From what to what the payload went.
    #[schemars(with = "String", extend("enum" = Route::ALL))]
    pub route: Route,
    /// The side whose calls, switches and copies these are.
    pub side: Side,
    /// Counts a message.
    pub per_message: PerMessage,
    /// System calls in the window, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// The system calls of one message in the order that the strategy makes them, where they are of several
    /// names and the order is always the same: the program's account, and not the probes'.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub call_order: Vec<String>,
    /// Copies per payload byte: the measured side's, with what the kernel did later for its socket.
    pub copies: Copies,
    /// Every number that the textbook has, side by side with the textbook's.
    pub quantities: Vec<Judgement>,
    /// The way of the bytes, the sender's before the receiver's.
    pub movements: Vec<MovementRow>,
    /// The textbook's claims about the strategy.
    pub claims: Vec<ClaimVerdict>,
    /// Payload bytes that arrived.
    pub payload_bytes: u64,
    /// The method of checking that: the receiver counted and hashed them, or the device that dropped them
    /// counted its packets.
    #[schemars(with = "String", extend("enum" = CheckedBy::ALL))]
    pub checked_by: CheckedBy,
    /// Payload bytes that were not seen on their way to where the route delivers them; negative when
    /// more was seen than arrived.
    pub unaccounted_bytes: i64,
    /// Protocol headers handed to the network device, in bytes.
    pub nic_header_bytes: u64,
    /// Payload handed to the network device again, in bytes.
    pub nic_retransmitted_bytes: u64,
    /// File system metadata read from disk, in bytes.
    pub disk_metadata_bytes: u64,
    /// Events lost in this strategy's window.
    pub lost_events: u64,
    /// The kernel's notifications of the program's zero-copy sends, if it made any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_copy: Option<ZeroCopy>,
    /// Its speed in rounds without probes; absent if there were none, and where times mean nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// Counts of one strategy, each for one message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PerMessage {
    /// System calls.
    pub syscalls: f64,
    /// Switches between user and kernel mode, each way counted.
    pub mode_switches: f64,
    /// Times the scheduler took the CPU from the measured process because it had to wait.
    pub context_switches_voluntary: f64,
    /// Times the scheduler took the CPU from it though it could have run on.
    pub context_switches_involuntary: f64,
    /// Page faults taken in user mode.
    pub page_faults_user: f64,
    /// Page faults taken in kernel mode.
    pub page_faults_kernel: f64,
}

/// Bytes that went from one place to another.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MovementRow {
    /// The place the bytes came from.
    pub from: Place,
    /// The place they went to; a copy leaves them in both.
    pub to: Place,
    /// The mover.
    pub by: Mover,
    /// The side that paid.
    pub side: Side,
    /// Bytes moved in the window.
    pub bytes: u64,
    /// The number of times the witness fired.
    pub calls: u64,
    /// Bytes moved per payload byte.
    pub per_payload_byte: f64,
    /// The provenance of the number.
    pub provenance: Provenance,
    /// The witness in the kernel; several are joined by `, `, the busiest first.
    pub witness: String,
    /// Bytes that hardware breakpoints saw, under `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_bytes: Option<u64>,
    /// The difference of `bytes` from `verified_bytes`, relative to the latter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<f64>,
}

impl Report {
    /// Compares the outcomes with the textbook.
    pub fn new(environment: Environment, payload: Payload, outcomes: &[Outcome]) -> Self {
        let observations: Vec<_> = outcomes.iter().filter_map(Outcome::observation).collect();
        let conditions = environment.conditions();
        let row = |outcome: &Outcome| match outcome {
            Outcome::Measured { observed, rounds } => {
                let rounds = if environment.emulated { &[] } else { rounds.as_slice() };
                let speed = Speed::of(rounds, observed.payload_bytes);
                let measured = Measured::new(observed, &observations, &conditions);
                StrategyRow::Measured(Box::new(Measured { speed, ..measured }))
            }
            Outcome::Skipped(skipped) => StrategyRow::Skipped(skipped.clone()),
        };
        let strategies = outcomes.iter().map(row).collect();
        Self {
            schema: SCHEMA.into(),
            origin: None,
            environment,
            payload,
            lost_events: observations.iter().map(|observed| observed.lost_events).sum(),
            warnings: observations
                .iter()
                .flat_map(|it| warnings(it))
                .map(WarningRow::from)
                .collect(),
            strategies,
            expectations: Vec::new(),
        }
    }

    /// Whether half of the CPUs or more had work in the minute before times were measured.
    pub(super) fn was_busy(&self) -> bool {
        let cpus = self.origin.as_ref().map(|origin| origin.cpus as f64);
        self.environment.load.zip(cpus).is_some_and(|(load, cpus)| load > cpus / 2.0)
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

    /// With rounds of the same without probes.
    pub fn timed(self, rounds: Vec<Round>) -> Self {
        match self {
            Self::Measured { observed, .. } => Self::Measured { observed, rounds },
            Self::Skipped(skipped) => Self::Skipped(skipped),
        }
    }

    fn observation(&self) -> Option<&Observation> {
        match self {
            Self::Measured { observed, .. } => Some(observed),
            Self::Skipped(_) => None,
        }
    }
}

impl From<Observation> for Outcome {
    fn from(observed: Observation) -> Self {
        Self::Measured { observed, rounds: Vec::new() }
    }
}

impl Measured {
    fn new(observed: &Observation, all: &[&Observation], conditions: &[Condition]) -> Self {
        let judged = |quantity| judge(quantity, observed, conditions);
        let row = |movement| MovementRow::new(movement, observed);
        Self {
            name: observed.strategy.clone(),
            route: observed.route,
            side: observed.side,
            per_message: PerMessage::new(observed),
            syscalls: observed.syscalls.clone(),
            call_order: observed.call_order.clone(),
            copies: observed.copies(),
            quantities: Quantity::ALL.into_iter().map(judged).collect(),
            movements: merge(&observed.movements).into_iter().map(row).collect(),
            claims: judge_claims(observed, all, conditions),
            payload_bytes: observed.payload_bytes,
            checked_by: observed.checked_by,
            unaccounted_bytes: observed.unaccounted(),
            nic_header_bytes: observed.nic_header_bytes,
            nic_retransmitted_bytes: observed.nic_retransmitted_bytes,
            disk_metadata_bytes: observed.disk_metadata_bytes,
            lost_events: observed.lost_events,
            zero_copy: observed.zero_copy,
            speed: None,
        }
    }

    /// Whether a textbook speaks of the strategy.
    pub(super) fn is_documented(&self) -> bool {
        self.quantities.iter().any(|judged| judged.documented.is_some())
    }

    /// The worst verdict on the textbook's numbers of such quantities.
    pub(in crate::report) fn worst(&self, of: impl Fn(&Judgement) -> bool) -> Option<Verdict> {
        let such = self.quantities.iter().filter(|judged| of(judged));
        such.filter_map(|judged| judged.verdict).max()
    }

    /// The verdict on one of the numbers.
    pub(in crate::report) fn judged(&self, quantity: Quantity) -> Option<&Judgement> {
        self.quantities.iter().find(|judged| judged.quantity == quantity)
    }

    /// The movements of one side.
    pub fn movements_of(&self, side: Side) -> impl Iterator<Item = &MovementRow> {
        self.movements.iter().filter(move |movement| movement.side == side)
    }
}

impl PerMessage {
    pub(in crate::report) fn new(observed: &Observation) -> Self {
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
    pub(in crate::report) fn new(movement: Movement, observed: &Observation) -> Self {
        Self::of(movement, observed.payload_bytes)
    }

    /// A movement, beside so many bytes of payload.
    pub(in crate::report) fn of(movement: Movement, payload_bytes: u64) -> Self {
        Self {
            from: movement.from,
            to: movement.to,
            by: movement.by,
            side: movement.side,
            bytes: movement.bytes,
            calls: movement.calls,
            per_payload_byte: ratio(movement.bytes, payload_bytes),
            provenance: movement.provenance,
            verified_bytes: movement.verified_bytes,
            disagreement: movement.disagreement().filter(|part| part.is_finite()),
            witness: movement.witness,
        }
    }
}

/// The kernel's notifications of zero-copy sends, where they contradict the witnesses.
fn contradiction(observed: &Observation) -> Option<Warning> {
    let said = observed.zero_copy?;
    let (part, seen) = (said.copied_part()?, observed.copied_at_socket());
    let all_seen = observed.unaccounted() <= 0;
    (all_seen && (part - seen).abs() > TOLERANCE).then(|| Warning::Contradicted {
        strategy: observed.strategy.clone(),
        notifications: said.notifications,
        copied: said.copied.unwrap_or_default(),
        copies_per_byte: seen,
    })
}

/// The warnings about one strategy's observation.
fn warnings(observed: &Observation) -> Vec<Warning> {
    let &Observation { payload_bytes: bytes, message_bytes, messages, checked_by, .. } = observed;
    let strategy = || observed.strategy.clone();
    let place = || observed.route.delivery().to_owned();
    let mut warnings = Vec::new();
    match observed.unaccounted() {
        0 => {}
        unseen @ 1.. => warnings.push(Warning::NotSeen {
            what: strategy(),
            bytes: unseen.unsigned_abs(),
            payload_bytes: bytes,
            place: place(),
        }),
        more => warnings.push(Warning::SeenTooMuch {
            strategy: strategy(),
            bytes: more.unsigned_abs(),
            place: place(),
        }),
    }
    warnings.extend(contradiction(observed));
    // Nobody could look at what arrived.
    if checked_by == CheckedBy::DeviceCounters {
        warnings.push(Warning::NotHashed { strategy: strategy(), bytes });
    }
    let sent_bytes = message_bytes * messages;
    if bytes != sent_bytes {
        warnings.push(Warning::NotChecked { strategy: strategy(), bytes, sent_bytes });
    }
    warnings
}
