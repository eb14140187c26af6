//! The report on any program: its flows, one file a format.

mod answer;
mod csv;
pub mod diff;
mod document;
mod folded;
#[cfg(test)]
mod hostile;
pub mod jsonl;
mod model;
mod plain;
mod pprof;
#[cfg(test)]
mod tests;
mod words;

pub use model::{
    Cost, End, Environment, FlowRow, JvmRow, Owner, Ratios, Reason, Recording, Report, Role,
    SCHEMA, StackRow, Total, Unattributed, UnseenRow, View,
};

use std::io;

use super::{Style, html, markdown, terminal};

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// A table for the terminal, and a verdict for each flow
    #[default]
    Table,
    /// One JSON document; `copytrace schema flows` prints its schema
    Json,
    /// One JSON document per line; --interval writes many; `copytrace schema lines` prints its schema
    Jsonl,
    /// A table for a document
    Markdown,
    /// A page for a browser, in one file; with stacks, also a flame graph
    Html,
    /// A header, and one line for each flow; of many reports, one header
    Csv,
    /// Stacks of the CPU copies with their bytes, for flame graphs
    Folded,
    /// Stacks of the CPU copies for pprof and compatible tools; binary
    Pprof,
}

impl Format {
    /// Whether it shows nothing but stacks.
    pub fn is_of_stacks(self) -> bool {
        matches!(self, Self::Folded | Self::Pprof)
    }

    /// Whether it shows no more rows than a reader wants.
    pub fn is_in_short(self) -> bool {
        matches!(self, Self::Table | Self::Html)
    }

    /// Whether it is for other programs to read: a browser, a script, a spreadsheet.
    pub fn is_for_programs(self) -> bool {
        !matches!(self, Self::Table | Self::Markdown)
    }
}

/// Writes a report. Only the table looks at the style.
pub fn write(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        // Only JSON has every name as it is.
        Format::Json => super::json::write(report, out),
        Format::Jsonl => {
            let (since_last, report) = (report.total, report.clone());
            jsonl::write(&jsonl::Line { time: None, since_last, report }, out)
        }
        Format::Table => {
            let report = report.plain();
            let sections = document::sections(&report, &report.shown, style.details);
            terminal::write(&sections, style, out)
        }
        Format::Markdown => {
            let report = report.plain();
            markdown::write(&document::sections(&report, &report.flows, true), out)
        }
        Format::Html => html::write(&document::page(&report.plain()), out),
        Format::Csv => csv::write(&report.plain(), out),
        Format::Folded => folded::write(&report.plain(), out),
        Format::Pprof => pprof::write(&report.plain(), out),
    }
}

/// Writes a further report after one of the same format, without a header.
pub fn append(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Csv => csv::write_lines(&report.plain(), out),
        _ => write(format, report, style, out),
    }
}
