//! One line for each delivery, by a model or by a program itself; empty where it has no such number.

use std::io;

use serde::Serialize;

use super::BrokerReport;
use crate::{Provenance, workload::Cache};

#[derive(Serialize)]
struct Line<'a> {
    flavour: &'a str,
    message_bytes: u64,
    consumers: u64,
    cache: &'a str,
    messages: u64,
    bytes: u64,
    bytes_per_second_median: Option<f64>,
    bytes_per_second_min: Option<f64>,
    bytes_per_second_max: Option<f64>,
    messages_per_second_median: Option<f64>,
    cpu_seconds_per_gb_median: Option<f64>,
    cpu_seconds_per_gb_min: Option<f64>,
    cpu_seconds_per_gb_max: Option<f64>,
    syscalls_per_message: f64,
    mode_switches_per_message: f64,
    cpu_copies: Option<f64>,
    dma_copies: Option<f64>,
    jvm_copies: Option<f64>,
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
            bytes_per_second_median: Some(row.bytes_per_second.median),
            bytes_per_second_min: Some(row.bytes_per_second.min),
            bytes_per_second_max: Some(row.bytes_per_second.max),
            messages_per_second_median: Some(row.messages_per_second.median),
            cpu_seconds_per_gb_median: Some(row.cpu_seconds_per_gb.median),
            cpu_seconds_per_gb_min: Some(row.cpu_seconds_per_gb.min),
            cpu_seconds_per_gb_max: Some(row.cpu_seconds_per_gb.max),
            syscalls_per_message: row.per_message.syscalls,
            mode_switches_per_message: row.per_message.mode_switches,
            cpu_copies: Some(row.copies.cpu),
            dma_copies: Some(row.copies.dma),
            jvm_copies: None,
            provenance: row.copies_provenance,
        })?;
    }
    for row in &report.programs {
        let (bytes, cpu) = (row.bytes_per_second, row.cpu_seconds_per_gb);
        lines.serialize(Line {
            flavour: &format!("{} {} {}", row.program, row.version, row.setting),
            message_bytes: row.message_bytes,
            consumers: 1,
            cache: Cache::Warm.name(),
            messages: row.messages,
            bytes: row.log_bytes,
            bytes_per_second_median: bytes.map(|spread| spread.median),
            bytes_per_second_min: bytes.map(|spread| spread.min),
            bytes_per_second_max: bytes.map(|spread| spread.max),
            messages_per_second_median: row.messages_per_second.map(|spread| spread.median),
            cpu_seconds_per_gb_median: cpu.map(|spread| spread.median),
            cpu_seconds_per_gb_min: cpu.map(|spread| spread.min),
            cpu_seconds_per_gb_max: cpu.map(|spread| spread.max),
            syscalls_per_message: row.syscalls_per_message.median,
            mode_switches_per_message: row.mode_switches_per_message.median,
            cpu_copies: row.copies_per_byte.cpu,
            dma_copies: row.copies_per_byte.dma,
            jvm_copies: row.jvm_copies_per_byte,
            provenance: row.provenance,
        })?;
    }
    lines.flush()
}
