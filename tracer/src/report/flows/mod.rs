//! The report on any program: its flows, one file a format.

mod csv;
pub mod diff;
mod markdown;
mod model;
mod table;
#[cfg(test)]
mod tests;

pub use model::{
    Cost, End, Environment, FlowRow, Owner, Ratios, Recording, Report, Role, SCHEMA, Total,
    Unattributed,
};

use std::io;

use super::{Format, Style};

/// Writes a report. Only the table looks at the style.
pub fn write(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Table => table::write(report, style, out),
        Format::Json => super::json::write(report, out),
        Format::Markdown => markdown::write(report, out),
        Format::Csv => csv::write(report, out),
    }
}
