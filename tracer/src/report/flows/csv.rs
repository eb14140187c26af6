//! One line for each flow. Movements and system calls by name are in the JSON document only.

use std::{borrow::Cow, io};

use serde::Serialize;

use super::{FlowRow, Report, model::Role};
use crate::{
    flows::{Kind, balance::At, verdict::Code},
    ledger::Provenance,
    report::escape::cell,
};

#[derive(Serialize)]
struct Line<'a> {
    comm: Cow<'a, str>,
    pid: Option<u32>,
    source_kind: Kind,
    source: Cow<'a, str>,
    destination_kind: Kind,
    destination: Cow<'a, str>,
    side: Role,
    payload_bytes: u64,
    cpu_copies_per_byte: Option<f64>,
    dma_copies_per_byte: Option<f64>,
    by_reference_per_byte: Option<f64>,
    provenance: Provenance,
    syscalls: u64,
    mean_message_bytes: f64,
    mode_switches_per_mib: f64,
    verdict: Code,
    cpu_time_ns: u64,
    cycles_per_copied_byte: Option<f64>,
    thread: Option<u32>,
    source_fd: Option<u32>,
    destination_fd: Option<u32>,
    unseen_source_bytes: u64,
    unseen_destination_bytes: u64,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut lines = csv::Writer::from_writer(out);
    report.flows.iter().try_for_each(|row| lines.serialize(line(row)))?;
    lines.flush()
}

fn unseen(row: &FlowRow, at: At) -> u64 {
    row.unseen.iter().filter(|unseen| unseen.at == at).map(|unseen| unseen.bytes).sum()
}

fn line(row: &FlowRow) -> Line<'_> {
    Line {
        comm: cell(&row.process.comm),
        pid: row.process.pid,
        source_kind: row.source.kind,
        source: cell(&row.source.name),
        destination_kind: row.destination.kind,
        destination: cell(&row.destination.name),
        side: row.side,
        payload_bytes: row.payload_bytes,
        cpu_copies_per_byte: row.copies_per_byte.cpu,
        dma_copies_per_byte: row.copies_per_byte.dma,
        by_reference_per_byte: row.by_reference_per_byte,
        provenance: row.provenance,
        syscalls: row.syscalls.values().sum(),
        mean_message_bytes: row.mean_message_bytes,
        mode_switches_per_mib: row.mode_switches_per_mib,
        verdict: row.verdict.code,
        cpu_time_ns: row.cost.cpu_time_ns,
        cycles_per_copied_byte: row.cost.cycles_per_copied_byte,
        thread: row.process.thread,
        source_fd: row.source.descriptor,
        destination_fd: row.destination.descriptor,
        unseen_source_bytes: unseen(row, At::Source),
        unseen_destination_bytes: unseen(row, At::Destination),
    }
}
