//! The one model that every format is a view of. Its JSON is documented in `docs/json.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Mover, Place, Provenance, Tier, Warning, WarningRow,
    expect::Expectation,
    flows::{
        self, Detail, Flow, Kind, Ledger, Traffic,
        balance::{At, Unseen},
        derive::{Witnesses, derive},
        digest::{Digest, Entry, Sort, digest},
        group::{self, Per, Row},
        jvm,
        note::{Note, notes, read_ahead_bytes},
        stacks::{Copies, Frame, Stacks},
        verdict::{Verdict, leaves_open, switches_a_mib, uncounted_calls, verdict},
    },
    ratio,
    report::{
        MovementRow, Origin, Where, escape,
        text::{CUT, fitted},
    },
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/flows/2";

/// The rows of a report, and their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The property that tells rows apart.
    pub per: Per,
    /// The key for sorting.
    pub sort: Sort,
    /// The number of rows in a table, 0 for all; as many as needed if none.
    pub top: Option<usize>,
}

/// A program's flows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The origin of this document; absent in recordings of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The environment of the measurement.
    pub environment: Environment,
    /// The traced target, in words.
    pub target: String,
    /// The duration, in nanoseconds.
    pub duration_ns: u64,
    /// Events lost. Other than 0, every number is a lower bound.
    pub lost_events: u64,
    /// Warnings about the numbers.
    pub warnings: Vec<WarningRow>,
    /// The sums of all counts.
    pub total: Total,
    /// The part that belongs to no flow.
    pub unattributed: Unattributed,
    /// The flows, the busiest first.
    pub flows: Vec<FlowRow>,
    /// What Java virtual machines copied in their own memory, the most bytes first; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jvm_copies: Vec<JvmRow>,
    /// The flows in short, for a screen; the document has each.
    #[serde(skip)]
    pub shown: Vec<FlowRow>,
    /// The rows that are too small to be shown.
    #[serde(skip)]
    pub left_out: Vec<FlowRow>,
    /// The stacks of the CPU copies, the most bytes first; absent if no stacks were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stacks: Option<Vec<StackRow>>,
    /// The result of each rule; absent without rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expectation>,
}

/// The environment of a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The machine whose kernel that is.
    #[serde(rename = "where")]
    pub where_: Where,
    /// The tier.
    #[schemars(with = "String", extend("enum" = ["fentry", "kprobe", "tracepoint"]))]
    pub tier: Tier,
    /// Whether the processor's cycles were counted.
    #[serde(default)]
    pub cycles: bool,
    /// Whether every instruction was emulated: then times mean nothing, and counts are exact.
    #[serde(default)]
    pub emulated: bool,
}

/// Sums over all flows, and over the counts in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Total {
    /// Bytes that reached a destination.
    pub payload_bytes: u64,
    /// Bytes copied by the CPU.
    pub cpu_copied_bytes: u64,
    /// Bytes copied by devices.
    pub dma_bytes: u64,
    /// Bytes moved by reference.
    pub by_reference_bytes: u64,
    /// Payload that was not seen to move at one end of its flow or at the other.
    pub unseen_bytes: u64,
    /// System calls, also those that move no data.
    pub syscalls: u64,
    /// Into the kernel and back, for each system call and each page fault taken in user mode.
    pub mode_switches: u64,
    /// Time that data calls took on CPUs, in ns.
    pub cpu_time_ns: u64,
}

/// Counts for traced processes that belong to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unattributed {
    /// Bytes that were moved.
    pub bytes: u64,
    /// The number of events.
    pub events: u64,
}

/// From one source to one destination.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FlowRow {
    /// The source.
    pub source: End,
    /// The destination.
    pub destination: End,
    /// The process whose calls moved them.
    pub process: Owner,
    /// The role of the process in the network.
    pub side: Role,
    /// Bytes that reached the destination.
    pub payload_bytes: u64,
    /// Copies of each of them.
    pub copies_per_byte: Ratios,
    /// Moves by reference per byte; `null` where unseen bytes leave it open.
    pub by_reference_per_byte: Option<f64>,
    /// Payload that no witness saw move.
    pub unseen: Vec<UnseenRow>,
    /// System calls that moved them, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Bytes that one call moved to the destination, on average.
    pub mean_message_bytes: f64,
    /// Mode switches for each MiB.
    pub mode_switches_per_mib: f64,
    /// Context switches in these calls, and page faults.
    pub cost: Cost,
    /// Payload bytes whose source is known by the address they were written from.
    pub linked_bytes: u64,
    /// The number of connections in this row; 0 without any.
    pub connections: u64,
    /// `derived` if one of the movements was not seen by a witness.
    pub provenance: Provenance,
    /// The verdict on copies.
    pub verdict: Verdict,
    /// Notes on the numbers.
    pub notes: Vec<Note>,
    /// The way of the bytes.
    pub movements: Vec<MovementRow>,
    /// The part of the copies by devices that the disk delivered and the flow did not.
    #[serde(skip)]
    pub read_ahead_per_byte: f64,
    /// The number of flows of the document in this row.
    #[serde(skip)]
    pub flows: u64,
}

/// Copies by the CPU that were made at one place.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StackRow {
    /// The process.
    pub process: Owner,
    /// From where.
    pub from: Place,
    /// To where.
    pub to: Place,
    /// `derived` if the stack is the call's, whose copies were not seen.
    pub provenance: Provenance,
    /// The kernel's routine that copied, or the system call; empty if no stack was seen.
    pub routine: String,
    /// Bytes copied.
    pub bytes: u64,
    /// The number of copies; 0 if derived.
    pub calls: u64,
    /// Functions of the kernel, the innermost first.
    pub kernel: Vec<Frame>,
    /// Functions of the program, likewise.
    pub user: Vec<Frame>,
}

/// Copies inside a Java virtual machine, by the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JvmRow {
    /// Whose.
    pub process: Owner,
    /// Bytes copied.
    pub bytes: u64,
    /// How often.
    pub calls: u64,
    /// What the process delivers, all its threads, in bytes; what it reads if that is nothing.
    pub payload_bytes: u64,
    /// Copies of each byte of that; `null` if there is none.
    pub copies_per_byte: Option<f64>,
    /// What saw them.
    pub witness: String,
}

impl JvmRow {
    fn new(copies: jvm::Copies) -> Self {
        let jvm::Copies { process, bytes, calls, payload_bytes } = copies;
        Self {
            process: Owner::new(&process),
            bytes,
            calls,
            payload_bytes,
            copies_per_byte: (payload_bytes > 0).then(|| ratio(bytes, payload_bytes)),
            witness: jvm::WITNESS.to_owned(),
        }
    }
}

/// An end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct End {
    /// Its kind.
    pub kind: Kind,
    /// Its name, or the common part of those in this row; empty for memory.
    pub name: String,
    /// The file descriptor it was used under, with `--per fd`; absent for a mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<u32>,
    /// The number of files, if more than one: then `name` is their common folder, if there is one.
    #[serde(skip)]
    pub files: Option<u64>,
}

/// The process of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Owner {
    /// Its id; none for several of one name.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: String,
    /// The id of the thread, whose name it is then, with `--per thread`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
}

impl Owner {
    fn new(process: &flows::Process) -> Self {
        let flows::Process { name, pid, thread } = process.clone();
        Self { pid, comm: name, thread }
    }
}

/// The role of a process in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It sends.
    Sender,
    /// It receives.
    Receiver,
    /// No socket is part of it.
    Local,
}

/// Copies of a payload byte; `null` where unseen bytes leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ratios {
    /// By the CPU.
    pub cpu: Option<f64>,
    /// By devices.
    pub dma: Option<f64>,
}

/// Payload that no witness saw move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnseenRow {
    /// The number of bytes.
    pub bytes: u64,
    /// At which end.
    pub at: At,
    /// The reason.
    pub reason: Reason,
}

/// Why something was not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
}

impl UnseenRow {
    /// `lost`: events that were lost.
    fn new(unseen: &Unseen, lost: u64) -> Self {
        let Unseen { at, medium, direct, bytes } = *unseen;
        let reason = if lost > 0 && medium.is_usual() && !direct {
            let text = format!("{lost} events were lost");
            Reason { code: "lost-events".to_owned(), text }
        } else {
            Reason { code: unseen.code().to_owned(), text: unseen.reason() }
        };
        Self { bytes, at, reason }
    }
}

/// The other costs of a flow's calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Context switches because the thread had to wait.
    pub context_switches_voluntary: u64,
    /// Context switches though the thread could have run on.
    pub context_switches_involuntary: u64,
    /// Page faults taken in kernel mode, inside the calls.
    pub page_faults_kernel: u64,
    /// Time that the calls took on CPUs, with what interrupts did meanwhile, in ns.
    pub cpu_time_ns: u64,
    /// Cycles of the processor in the calls for each byte that it copied; absent where cycles are
    /// not counted, or nothing was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles_per_copied_byte: Option<f64>,
}

/// The name of a recording's format.
const RECORDING: &str = "copytrace/ledger/2";

/// Far more warnings than copytrace has: in memory, short ones are many times as long as in the file.
const MOST_WARNINGS: usize = 1000;

/// A measurement, to be rendered later, in any format and on any machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Name and version of the format.
    format: String,
    /// The origin; older versions did not record it.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// The environment of the measurement.
    pub environment: Environment,
    /// The traced target, in words.
    pub target: String,
    /// For how long, in nanoseconds.
    pub duration_ns: u64,
    /// Events lost.
    pub lost_events: u64,
    /// Whether counting ended before what was traced did.
    #[serde(default)]
    pub is_cut_short: bool,
    /// Warnings about the numbers.
    pub warnings: Vec<Warning>,
    /// The measured ledger: not yet linked, without derived movements.
    #[serde(with = "pairs")]
    pub ledger: Ledger,
    /// The capabilities of the witnesses.
    pub witnesses: Witnesses,
    /// The level of detail.
    #[serde(default)]
    pub detail: Detail,
    /// The stacks of copies, or of the calls that make them; none if no stacks were taken.
    #[serde(default, with = "optional_pairs")]
    pub stacks: Option<Stacks>,
}

/// JSON has no maps with keys that are not strings.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::flows::{Flow, Ledger, Traffic};

    pub fn serialize<S: Serializer>(ledger: &Ledger, serializer: S) -> Result<S::Ok, S::Error> {
        ledger.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ledger, D::Error> {
        Ok(Vec::<(Flow, Traffic)>::deserialize(deserializer)?.into_iter().collect())
    }
}

mod optional_pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::flows::stacks::{Sighting, Stacks, Weight};

    pub fn serialize<S: Serializer>(
        stacks: &Option<Stacks>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let pairs = stacks.as_ref().map(|stacks| stacks.iter().collect::<Vec<_>>());
        pairs.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Stacks>, D::Error> {
        let pairs = Option::<Vec<(Sighting, Weight)>>::deserialize(deserializer)?;
        Ok(pairs.map(|pairs| pairs.into_iter().collect()))
    }
}

impl Recording {
    /// Of what was measured.
    pub fn new(
        environment: Environment,
        target: String,
        duration_ns: u64,
        ledger: Ledger,
        witnesses: Witnesses,
    ) -> Self {
        Self {
            format: RECORDING.to_owned(),
            origin: None,
            environment,
            target,
            duration_ns,
            lost_events: 0,
            is_cut_short: false,
            warnings: Vec::new(),
            ledger,
            witnesses,
            detail: Detail::default(),
            stacks: None,
        }
    }

    /// The stacks of the CPU copies, if stacks were taken.
    fn copies_at_stacks(&self) -> Option<Vec<StackRow>> {
        let stacks = self.stacks.as_ref()?;
        let mut ledger = self.ledger.clone();
        derive(&mut ledger, self.witnesses);
        let copies = flows::stacks::settle(stacks, &ledger);
        Some(copies.into_iter().map(StackRow::new).collect())
    }

    /// Reads what [`Serialize`] wrote; the error says in one line what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        let header: Header = serde_json::from_slice(text)
            .map_err(|error| format!("it is no recording of copytrace ({})", quoted(&error)))?;
        if header.format != RECORDING {
            let format = quoted(&header.format);
            return Err(format!("its format is {format}, this copytrace reads {RECORDING}"));
        }
        let recording: Self = serde_json::from_slice(text)
            .map_err(|error| format!("it is damaged ({})", quoted(&error)))?;
        if !recording.can_be_added_up() {
            return Err("it is damaged (its numbers are too large to be counts)".to_owned());
        }
        if recording.warnings.len() > MOST_WARNINGS {
            return Err(format!("it is damaged (it has more than {MOST_WARNINGS} warnings)"));
        }
        Ok(recording)
    }

    /// Whether every sum that a report makes is a number: none has more in it than everything that
    /// was counted, with what is derived of it, and that twice.
    fn can_be_added_up(&self) -> bool {
        let ledger = self.ledger.values().map(Traffic::bulk).sum::<u128>();
        let stacks = self.stacks.iter().flat_map(Stacks::values);
        let stacks = stacks.map(|weight| u128::from(weight.bytes) + u128::from(weight.calls));
        ledger + stacks.sum::<u128>() <= u128::from(u64::MAX / 4)
    }
}

/// Words of a recording, or that have some in them, for an error: in one line, and of a long one the
/// end, where it is said which line and column they are of.
fn quoted(text: &impl ToString) -> String {
    const MOST: usize = 200;
    fitted(&escape::plain(&text.to_string()), MOST, CUT)
}

impl Report {
    /// The rows of a recording, as fine as `per` has it.
    pub fn new(recording: &Recording, per: Per) -> Self {
        Self::of(recording, View { per, ..View::default() })
    }

    /// The selected rows of a recording.
    pub fn of(recording: &Recording, view: View) -> Self {
        let View { per, sort, top } = view;
        let ledger = flows::settle(recording.ledger.clone(), recording.witnesses);
        let rest = group::unattributed(&ledger);
        let rest = || rest.movements.iter().filter(|movement| !jvm::is_inside(movement));
        let mut rows = group::group(&ledger, per);
        if sort != Sort::Payload {
            sort.sort(&mut rows, |row| row);
        }
        let lost = recording.lost_events;
        let Digest { shown, left_out } = digest(&rows, per, sort, top);
        let in_short = |entries: Vec<Entry>| {
            entries.iter().map(|entry| FlowRow::of_digest(entry, per, lost)).collect()
        };
        let warnings = recording.warnings.iter().cloned().chain(not_counted(&ledger));
        let warnings = warnings.map(WarningRow::from).collect();
        Self {
            schema: SCHEMA.to_owned(),
            origin: recording.origin.clone(),
            environment: recording.environment.clone(),
            target: recording.target.clone(),
            duration_ns: recording.duration_ns,
            lost_events: recording.lost_events,
            warnings,
            total: Total::of(&ledger),
            unattributed: Unattributed {
                bytes: rest().map(|movement| movement.bytes).sum(),
                events: rest().map(|movement| movement.calls).sum(),
            },
            flows: rows.iter().map(|row| FlowRow::new(row, lost)).collect(),
            jvm_copies: jvm::copies(&ledger, per).into_iter().map(JvmRow::new).collect(),
            shown: in_short(shown),
            left_out: in_short(left_out),
            stacks: recording.copies_at_stacks(),
            expectations: Vec::new(),
        }
    }
}

impl Total {
    /// Of a ledger that was settled.
    pub fn of(ledger: &Ledger) -> Self {
        let all = flows::total(ledger);
        Self {
            payload_bytes: all.payload_bytes,
            cpu_copied_bytes: all.bytes_by(Mover::Cpu),
            dma_bytes: all.bytes_by(Mover::Dma),
            by_reference_bytes: ledger
                .iter()
                .map(|(flow, traffic)| traffic.passed_on(flow.destination.kind))
                .sum(),
            unseen_bytes: ledger.values().map(Traffic::unseen_bytes).sum(),
            syscalls: all.syscalls(),
            mode_switches: all.mode_switches(),
            cpu_time_ns: all.cpu_time_ns,
        }
    }

    /// The counts since `before`; 0 for a derived number that is now less.
    pub fn since(&self, before: &Self) -> Self {
        let since = |of: fn(&Self) -> u64| of(self).saturating_sub(of(before));
        Self {
            payload_bytes: since(|total| total.payload_bytes),
            cpu_copied_bytes: since(|total| total.cpu_copied_bytes),
            dma_bytes: since(|total| total.dma_bytes),
            by_reference_bytes: since(|total| total.by_reference_bytes),
            unseen_bytes: since(|total| total.unseen_bytes),
            syscalls: since(|total| total.syscalls),
            mode_switches: since(|total| total.mode_switches),
            cpu_time_ns: since(|total| total.cpu_time_ns),
        }
    }
}

impl StackRow {
    fn new(copies: Copies) -> Self {
        let Copies { process, from, to, provenance, routine, stack, bytes, calls } = copies;
        Self {
            process: Owner::new(&process),
            from,
            to,
            provenance,
            routine,
            bytes,
            calls,
            kernel: stack.kernel,
            user: stack.user,
        }
    }
}

impl FlowRow {
    /// Time that its calls took on CPUs for each MiB of payload, in ns.
    pub(super) fn cpu_time_a_mib(&self) -> f64 {
        ratio(self.cost.cpu_time_ns, self.payload_bytes) * f64::from(1 << 20)
    }

    /// `lost`: events that were lost.
    fn new(row: &Row, lost: u64) -> Self {
        let Row { flow, traffic, .. } = row;
        let payload = traffic.payload_bytes;
        let is_open = leaves_open(traffic);
        let per_byte = |by| (!is_open).then(|| ratio(traffic.bytes_by(by), payload));
        let dma_is_open = traffic.unseen.iter().any(|unseen| unseen.direct);
        let dma = (!dma_is_open).then(|| ratio(traffic.bytes_by(Mover::Dma), payload));
        let end = |end: &flows::Endpoint| End {
            kind: end.kind,
            name: end.name.clone(),
            descriptor: end.descriptor,
            files: None,
        };
        Self {
            source: end(&flow.source.clone().unwrap_or_else(flows::Endpoint::memory)),
            destination: end(&flow.destination),
            process: Owner::new(&flow.process),
            side: role(flow),
            payload_bytes: payload,
            copies_per_byte: Ratios { cpu: per_byte(Mover::Cpu), dma },
            by_reference_per_byte: (!is_open)
                .then(|| ratio(traffic.passed_on(flow.destination.kind), payload)),
            unseen: traffic.unseen.iter().map(|unseen| UnseenRow::new(unseen, lost)).collect(),
            syscalls: counts(traffic),
            mean_message_bytes: ratio(payload, traffic.syscalls()),
            mode_switches_per_mib: switches_a_mib(traffic),
            cost: Cost {
                context_switches_voluntary: traffic.switches_voluntary,
                context_switches_involuntary: traffic.switches_involuntary,
                page_faults_kernel: traffic.page_faults_kernel,
                cpu_time_ns: traffic.cpu_time_ns,
                cycles_per_copied_byte: cycles_per_copied_byte(traffic),
            },
            linked_bytes: traffic.linked_bytes,
            connections: row.connections,
            provenance: provenance(traffic),
            verdict: verdict(row),
            notes: notes(row),
            read_ahead_per_byte: ratio(read_ahead_bytes(traffic), payload),
            movements: traffic
                .movements
                .iter()
                .map(|movement| MovementRow::of(movement.clone(), payload))
                .collect(),
            flows: 1,
        }
    }

    /// The row of an entry, which may fold several rows. A connection is named by the server's port,
    /// unless `per` tells connections apart.
    fn of_digest(entry: &Entry, per: Per, lost: u64) -> Self {
        let mut row = Self::new(&entry.row, lost);
        row.flows = entry.rows;
        let Flow { source, destination, .. } = &entry.row.flow;
        for (end, of) in
            [(&mut row.source, source.as_ref()), (&mut row.destination, Some(destination))]
        {
            let group = of.filter(|of| of.kind.is_socket() && per.is_of_ports());
            if let Some(of) = group.filter(|of| !of.group.is_empty()) {
                end.name.clone_from(&of.group);
            }
        }
        for (end, count) in
            [(&mut row.source, entry.sources), (&mut row.destination, entry.destinations)]
        {
            end.files = (end.kind == Kind::File && count > 1).then_some(count);
        }
        row
    }
}

fn cycles_per_copied_byte(traffic: &Traffic) -> Option<f64> {
    let copied = traffic.bytes_by(Mover::Cpu);
    (traffic.cpu_cycles > 0 && copied > 0).then(|| ratio(traffic.cpu_cycles, copied))
}

/// That some calls were made whose bytes are not counted, if so.
fn not_counted(ledger: &Ledger) -> Option<Warning> {
    let calls = uncounted_calls(ledger.values());
    (!calls.is_empty()).then_some(Warning::NotCounted { calls })
}

fn counts(traffic: &Traffic) -> BTreeMap<String, u64> {
    traffic.calls.iter().map(|(name, calls)| (name.clone(), calls.count)).collect()
}

fn role(flow: &Flow) -> Role {
    let source = flow.source.as_ref().is_some_and(|source| source.kind.is_socket());
    match (source, flow.destination.kind.is_socket()) {
        (_, true) => Role::Sender,
        (true, false) => Role::Receiver,
        (false, false) => Role::Local,
    }
}

fn provenance(traffic: &Traffic) -> Provenance {
    let derived = |movement: &crate::Movement| movement.provenance == Provenance::Derived;
    match traffic.movements.iter().any(derived) {
        true => Provenance::Derived,
        false => Provenance::Measured,
    }
}
