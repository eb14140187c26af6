//! One line for each flow. Movements and system calls by name are in the JSON document only.

use std::io;

use serde_json::{Value, json};

use super::{FlowRow, Report};
use crate::{flows::balance::At, report::escape::cell};

/// A column: its name, and what a flow has there.
type Column = (&'static str, fn(&FlowRow) -> Value);

const COLUMNS: &[Column] = &[
    ("comm", |row| json!(cell(&row.process.comm))),
    ("pid", |row| json!(row.process.pid)),
    ("source_kind", |row| json!(row.source.kind)),
    ("source", |row| json!(cell(&row.source.name))),
    ("destination_kind", |row| json!(row.destination.kind)),
    ("destination", |row| json!(cell(&row.destination.name))),
    ("side", |row| json!(row.side)),
    ("payload_bytes", |row| json!(row.payload_bytes)),
    ("cpu_copies_per_byte", |row| json!(row.copies_per_byte.cpu)),
    ("dma_copies_per_byte", |row| json!(row.copies_per_byte.dma)),
    ("by_reference_per_byte", |row| json!(row.by_reference_per_byte)),
    ("provenance", |row| json!(row.provenance)),
    ("syscalls", |row| json!(row.syscalls.values().sum::<u64>())),
    ("mean_message_bytes", |row| json!(row.mean_message_bytes)),
    ("mode_switches_per_mib", |row| json!(row.mode_switches_per_mib)),
    ("verdict", |row| json!(row.verdict.code)),
    ("cpu_time_ns", |row| json!(row.cost.cpu_time_ns)),
    ("cycles_per_copied_byte", |row| json!(row.cost.cycles_per_copied_byte)),
    ("thread", |row| json!(row.process.thread)),
    ("source_fd", |row| json!(row.source.descriptor)),
    ("destination_fd", |row| json!(row.destination.descriptor)),
    ("unseen_source_bytes", |row| json!(unseen(row, At::Source))),
    ("unseen_destination_bytes", |row| json!(unseen(row, At::Destination))),
    ("notes", |row| json!(notes(row))),
];

/// Writes the header, and a line for each flow if there are some.
pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", names.join(","))?;
    write_lines(report, out)
}

/// Writes a line for each flow.
pub(super) fn write_lines(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut lines = csv::Writer::from_writer(out);
    let values = |row| COLUMNS.iter().map(|(_, value)| value(row)).collect::<Vec<_>>();
    report.flows.iter().try_for_each(|row| lines.serialize(values(row)))?;
    lines.flush()
}

/// Their codes; more than one are separated by spaces.
fn notes(row: &FlowRow) -> String {
    let codes = row.notes.iter().map(|note| json!(note.code));
    let codes: Vec<_> = codes.filter_map(|code| code.as_str().map(str::to_owned)).collect();
    codes.join(" ")
}

fn unseen(row: &FlowRow, at: At) -> u64 {
    row.unseen.iter().filter(|unseen| unseen.at == at).map(|unseen| unseen.bytes).sum()
}
