//! A table for a document, in GitHub's flavour of Markdown.

use std::io;

use super::{End, FlowRow, Report, table};
use crate::{
    ledger::Provenance,
    report::{escape, markdown::warnings, words},
};

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let escaped: Vec<_> = report.warnings.iter().map(|text| escape::markdown(text)).collect();
    warnings(report.lost_events, &escaped, out)?;
    writeln!(
        out,
        "| program | from | to | payload | CPU copies | DMA copies | by reference | mode switches \
         a MiB | CPU time a MiB | verdict |"
    )?;
    writeln!(out, "|---|---|---|---:|---:|---:|---:|---:|---:|---|")?;
    for row in &report.flows {
        writeln!(out, "| {} |", cells(row).join(" | "))?;
    }
    writeln!(out, "\nCopies are per payload byte; ~ is derived, not measured.\n")?;
    let settings = table::settings(report);
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| format!("**{name}** {}", escape::markdown(value)))
        .collect();
    writeln!(out, "{}", settings.join(" · "))
}

fn cells(row: &FlowRow) -> [String; 10] {
    let mark = if row.provenance == Provenance::Derived { "~" } else { "" };
    let marked = |ratio: Option<f64>| {
        let text = table::copies(ratio);
        if ratio.is_some() { format!("{mark}{text}") } else { text }
    };
    [
        escape::markdown(&table::owner(row).replace('\n', " ")),
        end(&row.source),
        end(&row.destination),
        words::size(row.payload_bytes),
        marked(row.copies_per_byte.cpu),
        table::copies(row.copies_per_byte.dma),
        marked(row.by_reference_per_byte),
        words::grouped(row.mode_switches_per_mib.round() as u64),
        words::time(row.cpu_time_a_mib()),
        said(row),
    ]
}

/// The verdict, and what is to know besides.
fn said(row: &FlowRow) -> String {
    let notes = row.notes.iter().map(|note| &note.text);
    let texts: Vec<_> = [&row.verdict.text].into_iter().chain(notes).map(String::as_str).collect();
    texts.join("; ")
}

fn end(end: &End) -> String {
    let name = escape::markdown(&end.name);
    let fd = end.descriptor.map_or_else(String::new, |descriptor| format!("fd {descriptor} "));
    if name.is_empty() { format!("{fd}{}", end.kind) } else { format!("{fd}{} {name}", end.kind) }
}
