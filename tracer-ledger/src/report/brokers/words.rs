//! Numbers and sentences as the formats for people write them.

use super::{BrokerReport, Delivered, Produced, ProgramDelivery};
use crate::{Cost, Provenance, Spread, claims::brokers::Difference, ratio, words};

/// The number of columns of both tables that name the delivery of a row.
const NAMES: usize = 4;

/// The key to the tables.
pub(super) const UNITS: &str = "Above without probes, from several rounds; below with probes, from \
    one more: calls, switches and faults (user + kernel mode) a message, copies a delivered byte, \
    all at the broker; ~ derived";

fn names(row: &Delivered) -> [String; NAMES] {
    let size = words::size(row.message_bytes);
    [size, row.cache.clone(), row.consumers.to_string(), row.flavour.clone()]
}

/// One delivery's speed as cells.
pub(super) fn speed(row: &Delivered) -> Vec<String> {
    let mut cells = names(row).to_vec();
    let rate = row.messages_per_second.median.round() as u64;
    cells.extend(two(row.bytes_per_second, 1e-6, 0));
    cells.push(words::grouped(rate));
    cells.extend(two(row.cpu_seconds_per_gb, 1.0, 2));
    cells
}

/// One delivery's counts as cells.
pub(super) fn counts(row: &Delivered) -> Vec<String> {
    let derived = if row.copies_provenance == Provenance::Derived { "~" } else { "" };
    let counts = &row.per_message;
    let mut cells = names(row).to_vec();
    cells.extend([
        words::rough(counts.syscalls),
        words::rough(counts.mode_switches),
        counts.faults(),
        words::rough(counts.context_switches()),
        format!("{derived}{}", words::copies(row.copies.cpu)),
        words::copies(row.copies.dma),
    ]);
    cells
}

/// How they are to be read whatever is seen.
const OF_PROGRAMS: &str = "Kafka and RocketMQ themselves, the broker's side: calls and switches of \
    the whole process a message and a MiB, median of the rounds with probes; the kernel's copies of \
    a sent byte; ~ derived. ";
/// What is seen of the copies in a program's own memory.
const NOTHING_INSIDE: &str = "Copies that a program makes in its own memory are not seen";
const PART_INSIDE: &str = "In the JVM: copies of a sent byte in the program's own memory by HotSpot's \
    unsafe_arraycopy stub; others there, such as from array to array, are not seen";

/// How the tables of programs are to be read.
pub(super) fn of_programs(rows: &[ProgramDelivery]) -> String {
    let inside = match rows.iter().any(|row| row.jvm_copies_per_byte.is_some()) {
        true => PART_INSIDE,
        false => NOTHING_INSIDE,
    };
    format!("{OF_PROGRAMS}{inside}")
}

fn program_names(row: &ProgramDelivery) -> [String; 3] {
    let size = words::size(row.message_bytes);
    [size, format!("{} {}", row.program, row.version), row.setting.clone()]
}

/// The speed of a program's delivery as cells; empty where times mean nothing.
pub(super) fn program_speed(row: &ProgramDelivery) -> Vec<String> {
    let in_two = |spread: Option<Spread>, unit, digits| {
        spread.map_or_else(Default::default, |spread| two(spread, unit, digits))
    };
    let rate = row.messages_per_second.map(|rate| words::grouped(rate.median.round() as u64));
    let mut cells = program_names(row).to_vec();
    cells.extend(in_two(row.bytes_per_second, 1e-6, 0));
    cells.push(rate.unwrap_or_default());
    cells.extend(in_two(row.cpu_seconds_per_gb, 1.0, 2));
    cells
}

/// The counts of a program's delivery as cells.
pub(super) fn program_counts(row: &ProgramDelivery) -> Vec<String> {
    let derived = if row.provenance == Provenance::Derived { "~" } else { "" };
    let copies = |number: Option<f64>| match number {
        Some(number) => format!("{derived}{}", words::copies(number)),
        None => words::UNSEEN.to_owned(),
    };
    let mut cells = program_names(row).to_vec();
    cells.extend([
        format!("{:.3}", row.syscalls_per_message.median),
        format!("{:.1}", row.syscalls_per_mib.median),
        format!("{:.3}", row.mode_switches_per_message.median),
        format!("{:.1}", row.mode_switches_per_mib.median),
        copies(row.copies_per_byte.cpu),
        row.jvm_copies_per_byte.map_or_else(String::new, words::copies),
        copies(row.by_reference_per_byte),
        match row.sent_twice_bytes {
            Some(bytes) => format!("{:.1} %", 100.0 * ratio(bytes, row.sent_bytes)),
            None => "–".to_owned(),
        },
    ]);
    cells
}

/// The way of most bytes of a program's delivery, as a sentence.
pub(super) fn program_way(row: &ProgramDelivery) -> String {
    let [size, program, setting] = program_names(row);
    let Some(flow) = row.flows.first() else {
        return format!("{program}, {setting}, {size}: nothing was sent");
    };
    let part = 100.0 * ratio(flow.payload_bytes, row.sent_bytes);
    let (from, to) = (flow.source.kind, flow.destination.kind);
    let calls: Vec<_> = flow.syscalls.keys().map(|name| format!("{name}()")).collect();
    format!(
        "{program}, {setting}, {size}: {part:.0} % of the bytes {from} → {to} by {}: {}",
        words::joined(calls),
        flow.verdict.text
    )
}

/// The median, and the range.
fn two(spread: Spread, unit: f64, digits: usize) -> [String; 2] {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(|number| number * unit);
    [format!("{median:.digits$}"), format!("{min:.digits$}–{max:.digits$}")]
}

/// `512 (480–530)`
fn spread(spread: Spread, unit: f64, digits: usize) -> String {
    let [median, range] = two(spread, unit, digits);
    format!("{median} ({range})")
}

/// The environment of the measurement, as names and values.
pub(super) fn setting(report: &BrokerReport) -> Vec<(&'static str, String)> {
    let environment = &report.environment;
    let machine = match (&environment.hypervisor, environment.emulated) {
        (Some(name), true) => {
            format!("emulated ({name}): times mean nothing, counts are exact")
        }
        (Some(name), false) => format!("virtual ({name})"),
        (None, _) => "not virtual, as far as it says".to_owned(),
    };
    vec![
        ("Kernel", format!("{}, {}", environment.kernel, environment.where_)),
        ("Machine", format!("{} × {}, {machine}", environment.cpus, environment.processor)),
        ("Tier", environment.tier.to_string()),
        ("NIC", environment.nic.clone()),
        ("Disk", environment.disk.clone()),
        ("Rounds", report.rounds.to_string()),
    ]
}

/// The producers' results, as a sentence.
pub(super) fn produced(row: &Produced) -> String {
    format!(
        "{}, {} producers: {} messages/s, {} MB/s, {:.2} flushes a message",
        words::size(row.message_bytes),
        row.producers,
        spread(row.messages_per_second, 1.0, 0),
        spread(row.bytes_per_second, 1e-6, 1),
        row.flushes_per_message.median
    )
}

/// The message size from which on fewer copies cost less: a sentence for each pair of flavours, and cost.
pub(super) fn differences(report: &BrokerReport) -> Vec<String> {
    let mut sentences: Vec<(String, Vec<String>)> = Vec::new();
    for row in &report.differences {
        let cost = match row.cost {
            Cost::Time => "is faster than",
            Cost::CpuTime => "takes less CPU time than",
        };
        let begin = format!("{} {cost} {}", row.fewer, row.more);
        let setting = setting_and_since(row);
        match sentences.iter_mut().find(|(other, _)| *other == begin) {
            Some((_, settings)) => settings.push(setting),
            None => sentences.push((begin, vec![setting])),
        }
    }
    let whole = |(begin, settings): (String, Vec<String>)| {
        format!("{begin} in every round: {}", settings.join("; "))
    };
    sentences.into_iter().map(whole).collect()
}

fn setting_and_since(row: &Difference) -> String {
    let since = match row.since_message_bytes {
        Some(bytes) => format!("from {} on", words::size(bytes)),
        None => "not even at the largest messages".to_owned(),
    };
    let noun = if row.consumers == 1 { "consumer" } else { "consumers" };
    format!("{}, {} {noun}: {since}", row.cache, row.consumers)
}

/// The brokers' answers to a feature; the reason for a refusal is given once.
pub(super) fn features(report: &BrokerReport) -> Vec<String> {
    let mut said: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for row in &report.features {
        let mut line = format!("{}: {}: {}", row.flavour, row.feature, row.answer);
        if row.answer != "works" && !said.contains(&&*row.flavour) {
            said.push(&row.flavour);
            line = format!("{line}: {}", row.note);
        }
        lines.push(line);
    }
    lines
}

/// The fate of the killed broker's messages.
pub(super) fn survival(report: &BrokerReport) -> String {
    let row = &report.survival;
    format!(
        "killed {} times: {} of {} acknowledged messages lost, {} of {} uncommitted ones \
         delivered, {} torn records cut off",
        row.kills, row.lost, row.acknowledged, row.leaked, row.uncommitted, row.torn
    )
}
