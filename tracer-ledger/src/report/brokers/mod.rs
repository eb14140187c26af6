//! The report on brokers: its model, and one file a format. Its JSON is documented in
//! `docs/json.md`.

mod csv;
mod document;
mod programs;
#[cfg(test)]
mod tests;
mod words;

pub use programs::{Counted, ProgramDelivery, ProgramRounds};

use std::{collections::BTreeMap, io};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Format, MovementRow, Origin, PerMessage, Style, Where, write_in};
use crate::{
    Copies, Delivery, Mover, Observation, Provenance, Setting, Spread, Tier, Warning, WarningRow,
    broker::{Answer, Survival},
    claims::brokers::{BrokerClaim, Difference, Evidence, differences, judge},
    merge, size,
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/brokers/2";

/// The measurements of the brokers, beside the textbook's claims.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BrokerReport {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The origin of this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The environment of the measurement.
    pub environment: BrokerEnvironment,
    /// The number of repetitions of each delivery, for its speed.
    pub rounds: u64,
    /// Events lost over all deliveries. Other than 0, every count is a lower bound.
    pub lost_events: u64,
    /// Warnings about the numbers.
    pub warnings: Vec<WarningRow>,
    /// The speed at which messages got to disk: the same code in every flavour.
    pub produced: Vec<Produced>,
    /// The deliveries to consumers.
    pub delivered: Vec<Delivered>,
    /// Likewise of Apache Kafka and Apache RocketMQ themselves; absent if they were not measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramDelivery>,
    /// The message size from which on a difference in copies is a difference in cost; empty where times
    /// mean nothing.
    pub differences: Vec<Difference>,
    /// The answer of each flavour to each feature that needs the content.
    pub features: Vec<FeatureRow>,
    /// The messages that survived when a broker was killed.
    pub survival: Survival,
    /// The textbook's claims.
    pub claims: Vec<BrokerClaim>,
}

/// The machine, as far as it matters for the speed of brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrokerEnvironment {
    /// The kernel's release.
    pub kernel: String,
    /// The machine whose kernel that is.
    #[serde(rename = "where")]
    pub where_: Where,
    /// The tier.
    #[schemars(with = "String", extend("enum" = ["fentry", "kprobe", "tracepoint"]))]
    pub tier: Tier,
    /// The network device towards the consumers.
    pub nic: String,
    /// File system and block device of the log.
    pub disk: String,
    /// The processor's name.
    pub processor: String,
    /// The number of running CPUs.
    pub cpus: u64,
    /// The hypervisor's signature, as the processor reports it; `null` for a real machine.
    pub hypervisor: Option<String>,
    /// Whether every instruction is emulated: then times mean nothing, and counts are exact.
    pub emulated: bool,
}

/// Messages on their way to disk.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Produced {
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of messages in a round.
    pub messages: u64,
    /// The number of producers, each with one message at a time.
    pub producers: u64,
    /// Messages acknowledged a second.
    pub messages_per_second: Spread,
    /// Bytes of them a second.
    pub bytes_per_second: Spread,
    /// Calls of `fdatasync` a message: less than 1 where messages share one.
    pub flushes_per_message: Spread,
}

/// One kind of delivery.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Delivered {
    /// The broker's flavour: `kafka`, `rocketmq` or `rocketmq-heap`.
    pub flavour: String,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of consumers that got every message at the same time.
    pub consumers: u64,
    /// Whether the log was in the page cache before: `cold` or `warm`.
    pub cache: String,
    /// Messages delivered in a round, to all consumers together.
    pub messages: u64,
    /// Bytes of them, with the headers they have in the log.
    pub bytes: u64,
    /// Messages a second, without probes.
    pub messages_per_second: Spread,
    /// Bytes a second, without probes.
    pub bytes_per_second: Spread,
    /// CPU seconds of the broker for 10⁹ bytes delivered, without probes.
    pub cpu_seconds_per_gb: Spread,
    /// Counts a delivered message.
    pub per_message: PerMessage,
    /// System calls in the window, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Copies per delivered byte, at the broker.
    pub copies: Copies,
    /// The provenance of the number of CPU copies.
    pub copies_provenance: Provenance,
    /// The way of the bytes.
    pub movements: Vec<MovementRow>,
    /// Bytes that were not seen entering a socket; negative when more was seen than arrived.
    pub unaccounted_bytes: i64,
}

/// A feature that was asked of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FeatureRow {
    /// The broker's flavour.
    pub flavour: String,
    /// The requested feature.
    pub feature: String,
    /// `works`, `refused` or `fails`.
    pub answer: String,
    /// The broker's answer.
    pub note: String,
}

impl BrokerReport {
    /// Judges the evidence.
    pub fn new(
        environment: BrokerEnvironment,
        produced: Vec<Produced>,
        evidence: &Evidence,
    ) -> Self {
        let deliveries = &evidence.deliveries;
        let lost = deliveries.iter().map(|delivery| delivery.observed.lost_events);
        let rounds = deliveries.iter().map(|delivery| delivery.rounds.len() as u64).max();
        Self {
            schema: SCHEMA.into(),
            origin: None,
            environment,
            rounds: rounds.unwrap_or(0),
            lost_events: lost.sum(),
            warnings: deliveries.iter().filter_map(warning).map(WarningRow::from).collect(),
            produced,
            delivered: deliveries.iter().map(Delivered::new).collect(),
            programs: Vec::new(),
            differences: match evidence.times_count {
                true => differences(deliveries),
                false => Vec::new(),
            },
            features: evidence.features.iter().map(feature).collect(),
            survival: evidence.survival,
            claims: judge(evidence),
        }
    }
}

impl BrokerReport {
    /// Adds the measurements of the programs themselves.
    pub fn add(&mut self, programs: Vec<ProgramDelivery>) {
        self.lost_events += programs.iter().map(|program| program.lost_events).sum::<u64>();
        self.programs.extend(programs);
    }
}

impl Delivered {
    fn new(delivery: &Delivery) -> Self {
        let (setting, observed) = (&delivery.setting, &delivery.observed);
        Self {
            flavour: setting.flavour.name().into(),
            message_bytes: setting.message_bytes,
            consumers: setting.consumers,
            cache: setting.cache.name().into(),
            messages: delivery.messages,
            bytes: delivery.bytes,
            messages_per_second: delivery.messages_per_second(),
            bytes_per_second: delivery.bytes_per_second(),
            cpu_seconds_per_gb: delivery.cpu_seconds_per_gb(),
            per_message: PerMessage::new(observed),
            syscalls: observed.syscalls.clone(),
            copies: observed.copies(),
            copies_provenance: provenance(observed),
            movements: merge(&observed.movements)
                .into_iter()
                .map(|movement| MovementRow::new(movement, observed))
                .collect(),
            unaccounted_bytes: observed.unaccounted(),
        }
    }
}

/// A byte that moved by reference is known not to be copied.
fn provenance(observed: &Observation) -> Provenance {
    let rests_on = observed.sent().filter(|movement| movement.by != Mover::Dma);
    rests_on.map(|movement| movement.provenance).max().unwrap_or(Provenance::Measured)
}

/// Bytes that no witness saw. There are a few more bytes of requests and answers than of messages.
fn warning(delivery: &Delivery) -> Option<Warning> {
    let unseen = u64::try_from(delivery.observed.unaccounted()).ok().filter(|bytes| *bytes > 0)?;
    let Setting { flavour, message_bytes, consumers, cache } = delivery.setting;
    let (flavour, size, cache) = (flavour.name(), size(message_bytes), cache.name());
    Some(Warning::NotSeen {
        what: format!("{flavour}, {size}, consumers: {consumers}, {cache}"),
        bytes: unseen,
        payload_bytes: delivery.bytes,
        place: "entering a socket".to_owned(),
    })
}

fn feature(
    (flavour, feature, answer): &(crate::broker::Flavour, crate::broker::Feature, Answer),
) -> FeatureRow {
    let (answer, note) = match answer {
        Answer::Works => ("works", ""),
        Answer::Refused(why) => ("refused", why.as_str()),
        Answer::Fails(what) => ("fails", what.as_str()),
    };
    FeatureRow {
        flavour: flavour.name().into(),
        feature: feature.what().into(),
        answer: answer.into(),
        note: note.into(),
    }
}

/// Writes a report. Only the table looks at the style.
pub fn write(
    format: Format,
    report: &BrokerReport,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let sections = |report: &_, _| document::sections(report);
    write_in(format, report, sections, document::page, csv::write, style, out)
}
