//! Deliveries by Apache Kafka and Apache RocketMQ themselves.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    Mover, Provenance, Round, Spread,
    flows::{self, Kind, Ledger, derive::Witnesses, group::Per, jvm, verdict::is_much},
    ratio,
    report::flows::{Environment, FlowRow, Ratios, Recording, Report, Total, View},
};

/// Bytes of a MiB, and of the GB that CPU time is given for.
const MIB: f64 = 1_048_576.0;
const GB: f64 = 1e9;

/// One kind of delivery, from a program's own broker to its own client over loopback. Every message was
/// checked by its checksum, its number and its place in its partition.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProgramDelivery {
    /// `kafka` or `rocketmq`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The setting that is compared, such as `plaintext` or `transferMsgByHeap=true`.
    pub setting: String,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// Messages delivered in a round.
    pub messages: u64,
    /// Their bytes in the broker's log, with headers.
    pub log_bytes: u64,
    /// Messages a second, without probes; `null` where times mean nothing.
    pub messages_per_second: Option<Spread>,
    /// Payload bytes a second, likewise.
    pub bytes_per_second: Option<Spread>,
    /// CPU seconds of the broker for 10⁹ bytes of payload, likewise.
    pub cpu_seconds_per_gb: Option<Spread>,
    /// System calls of the broker, with probes: a message.
    pub syscalls_per_message: Spread,
    /// And for each MiB of payload.
    pub syscalls_per_mib: Spread,
    /// Mode switches of the broker, with probes: a message.
    pub mode_switches_per_message: Spread,
    /// And for each MiB of payload.
    pub mode_switches_per_mib: Spread,
    /// Bytes that the broker wrote into sockets, in all rounds with probes together.
    pub sent_bytes: u64,
    /// Bytes of its log that it sent more than once, likewise; `null` where it sends from its memory, and
    /// they are not told from the headers of its answers.
    pub sent_twice_bytes: Option<u64>,
    /// Copies of a sent byte by the kernel and by devices; `null` where unseen bytes leave it open. What the
    /// program copies in its own memory is not seen.
    pub copies_per_byte: Ratios,
    /// Copies of a sent byte inside the Java virtual machine, as far as they are seen; absent if they were not
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jvm_copies_per_byte: Option<f64>,
    /// How often a sent byte changed hands with its page; `null` likewise.
    pub by_reference_per_byte: Option<f64>,
    /// Sent bytes that no witness saw move.
    pub unseen_bytes: u64,
    /// `derived` if one of the movements was not seen by a witness.
    pub provenance: Provenance,
    /// Events lost. Other than 0, every count is a lower bound.
    pub lost_events: u64,
    /// The ways of the sent bytes, by the kind of their source, the busiest first.
    pub flows: Vec<FlowRow>,
}

/// The counts of one delivery with probes.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// The broker's traffic.
    pub ledger: Ledger,
    /// Messages delivered.
    pub messages: u64,
    /// Their bytes in the log.
    pub log_bytes: u64,
    /// Events lost.
    pub lost_events: u64,
}

/// All rounds of one kind of delivery.
#[derive(Clone, Copy, Debug)]
pub struct ProgramRounds<'a> {
    /// The program.
    pub program: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The setting that is compared.
    pub setting: &'a str,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// Rounds without probes.
    pub timed: &'a [Round],
    /// Rounds with probes.
    pub counted: &'a [Counted],
    /// The capabilities of the probes.
    pub witnesses: Witnesses,
    /// The environment of the measurement.
    pub environment: &'a Environment,
    /// Whether copies inside the virtual machine were counted.
    pub jvm_copies: bool,
}

impl ProgramDelivery {
    /// The row for a program's rounds.
    pub fn new(rounds: ProgramRounds<'_>) -> Self {
        let ProgramRounds { timed, counted, environment, .. } = rounds;
        let of_a_round = counted.last();
        let messages = of_a_round.map_or(0, |counted| counted.messages);
        let payload = messages * rounds.message_bytes;
        let log_bytes = of_a_round.map_or(0, |counted| counted.log_bytes);
        let flows = sent(rounds);
        let sent_bytes = flows.iter().map(|flow| flow.payload_bytes).sum();
        let unseen_bytes = flows.iter().flat_map(|flow| &flow.unseen).map(|it| it.bytes).sum();
        let is_open = is_much(unseen_bytes, sent_bytes);
        let moved = |by: Mover| {
            let movements = flows.iter().flat_map(|flow| &flow.movements);
            let bytes = movements.filter(|it| it.by == by).map(|it| it.bytes).sum();
            (!is_open).then(|| ratio(bytes, sent_bytes))
        };
        let by_reference = flows
            .iter()
            .map(|flow| flow.by_reference_per_byte.unwrap_or_default() * flow.payload_bytes as f64);
        let by_reference: f64 = by_reference.sum();
        let times = |of: &dyn Fn(&Round) -> f64| {
            (!environment.emulated).then(|| Spread::of(timed.iter().map(of)))
        };
        let counts = |of: fn(&Total) -> u64, units: f64| {
            let totals = counted.iter().map(|counted| total(&counted.ledger, rounds.witnesses));
            Spread::of(totals.map(|total| of(&total) as f64 / units))
        };
        let mib = payload as f64 / MIB;
        let is_derived = flows.iter().any(|flow| flow.provenance == Provenance::Derived);
        Self {
            program: rounds.program.to_owned(),
            version: rounds.version.to_owned(),
            setting: rounds.setting.to_owned(),
            message_bytes: rounds.message_bytes,
            messages,
            log_bytes,
            messages_per_second: times(&|round| messages as f64 / round.seconds),
            bytes_per_second: times(&|round| payload as f64 / round.seconds),
            cpu_seconds_per_gb: times(&|round| round.cpu_seconds / (payload as f64 / GB)),
            syscalls_per_message: counts(|total| total.syscalls, messages as f64),
            syscalls_per_mib: counts(|total| total.syscalls, mib),
            mode_switches_per_message: counts(|total| total.mode_switches, messages as f64),
            mode_switches_per_mib: counts(|total| total.mode_switches, mib),
            sent_bytes,
            sent_twice_bytes: sent_twice(&flows, log_bytes * counted.len() as u64),
            copies_per_byte: Ratios { cpu: moved(Mover::Cpu), dma: moved(Mover::Dma) },
            jvm_copies_per_byte: rounds.jvm_copies.then(|| ratio(inside_jvm(counted), sent_bytes)),
            by_reference_per_byte: (!is_open && sent_bytes > 0)
                .then(|| by_reference / sent_bytes as f64),
            unseen_bytes,
            provenance: if is_derived { Provenance::Derived } else { Provenance::Measured },
            lost_events: counted.iter().map(|counted| counted.lost_events).sum(),
            flows,
        }
    }
}

fn total(ledger: &Ledger, witnesses: Witnesses) -> Total {
    Total::of(&flows::settle(ledger.clone(), witnesses))
}

/// Bytes that were copied inside the virtual machine, in all rounds together.
fn inside_jvm(counted: &[Counted]) -> u64 {
    let ledgers = counted.iter().map(|counted| jvm::copies(&counted.ledger, Per::Kind));
    ledgers.flatten().map(|copies| copies.bytes).sum()
}

/// What went into sockets in all rounds together, as `attach` reports it.
fn sent(rounds: ProgramRounds<'_>) -> Vec<FlowRow> {
    let mut all = Ledger::new();
    for (flow, traffic) in rounds.counted.iter().flat_map(|counted| &counted.ledger) {
        flows::add(&mut all, flow.clone(), traffic);
    }
    let target = rounds.program.to_owned();
    let recording = Recording::new(rounds.environment.clone(), target, 0, all, rounds.witnesses);
    let report = Report::of(&recording, View { per: Per::Kind, ..View::default() });
    report.flows.into_iter().filter(|flow| flow.destination.kind.is_socket()).collect()
}

/// Bytes read from the log's files beyond their content, if most of the sent bytes came from files.
fn sent_twice(flows: &[FlowRow], log_bytes: u64) -> Option<u64> {
    let of = |is_wanted: &dyn Fn(Kind) -> bool| -> u64 {
        let wanted = flows.iter().filter(|flow| is_wanted(flow.source.kind));
        wanted.map(|flow| flow.payload_bytes).sum()
    };
    let (from_files, all) = (of(&|kind| kind == Kind::File), of(&|_| true));
    (from_files > all / 2).then(|| from_files.saturating_sub(log_bytes))
}
