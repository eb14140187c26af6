//! Numbers and sentences as the formats for people write them.

use super::{BrokerReport, Delivered, Produced};
use crate::words;
use crate::{Cost, Provenance, Spread, claims::brokers::Difference};

/// How many columns of both tables say which delivery a row is of.
const NAMES: usize = 4;

/// How the tables are to be read.
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

/// Where it was measured, as names and values.
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

/// What producers got, as a sentence.
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

/// Since when a difference in copies is one in cost: a sentence for each two flavours and cost.
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

/// What a broker did when it was asked for a feature; why one refuses is said once.
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

/// What became of the killed broker's messages.
pub(super) fn survival(report: &BrokerReport) -> String {
    let row = &report.survival;
    format!(
        "killed {} times: {} of {} acknowledged messages lost, {} of {} uncommitted ones \
         delivered, {} torn records cut off",
        row.kills, row.lost, row.acknowledged, row.leaked, row.uncommitted, row.torn
    )
}
