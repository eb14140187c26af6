//! One line for each delivery.

use std::io;

use serde::Serialize;

use super::BrokerReport;
use crate::Provenance;

#[derive(Serialize)]
struct Line<'a> {
    flavour: &'a str,
    message_bytes: u64,
    consumers: u64,
    cache: &'a str,
    messages: u64,
    bytes: u64,
    bytes_per_second_median: f64,
    bytes_per_second_min: f64,
    bytes_per_second_max: f64,
    messages_per_second_median: f64,
    cpu_seconds_per_gb_median: f64,
    cpu_seconds_per_gb_min: f64,
    cpu_seconds_per_gb_max: f64,
    syscalls_per_message: f64,
    mode_switches_per_message: f64,
    cpu_copies: f64,
    dma_copies: f64,
    provenance: Provenance,
}

pub(super) fn write(report: &BrokerReport, out: &mut dyn io::Write) -> io::Result<()> {
    let mut lines = csv::Writer::from_writer(out);
    for row in &report.delivered {
        lines.serialize(Line {
            flavour: &row.flavour,
            message_bytes: row.message_bytes,
            consumers: row.consumers,
            cache: &row.cache,
            messages: row.messages,
            bytes: row.bytes,
            bytes_per_second_median: row.bytes_per_second.median,
            bytes_per_second_min: row.bytes_per_second.min,
            bytes_per_second_max: row.bytes_per_second.max,
            messages_per_second_median: row.messages_per_second.median,
            cpu_seconds_per_gb_median: row.cpu_seconds_per_gb.median,
            cpu_seconds_per_gb_min: row.cpu_seconds_per_gb.min,
            cpu_seconds_per_gb_max: row.cpu_seconds_per_gb.max,
            syscalls_per_message: row.per_message.syscalls,
            mode_switches_per_message: row.per_message.mode_switches,
            cpu_copies: row.copies.cpu,
            dma_copies: row.copies.dma,
            provenance: row.copies_provenance,
        })?;
    }
    lines.flush()
}
