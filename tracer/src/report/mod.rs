//! Reports: views of the ledger and of the verdicts on it, one file a format.
//!
//! A [`Report`] is built once, from observations, and every format is a view of it: what one of
//! them shows, the others can show too.

pub mod brokers;
mod csv;
mod environment;
pub mod escape;
pub mod flows;
mod json;
mod markdown;
mod model;
mod notes;
mod origin;
mod story;
mod style;
mod table;
mod verification;
pub(crate) mod words;
mod wrap;

pub use environment::{Environment, Where};
pub use json::write_schema;
pub use model::{
    Measured, MovementRow, Outcome, Payload, PerMessage, Report, SCHEMA, Skipped, StrategyRow,
};
pub use origin::Origin;
pub use style::Style;

#[cfg(test)]
mod tests;

use std::io;

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for the terminal, and what was seen in words
    #[default]
    Table,
    /// One JSON document; `copytrace schema` prints its schema
    Json,
    /// A table for a document
    Markdown,
    /// Comma-separated values, for a spreadsheet
    Csv,
}

/// Writes a report. Only the table looks at the style.
pub fn write(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Table => table::write(report, style, out),
        Format::Json => json::write(report, out),
        Format::Markdown => markdown::write(report, out),
        Format::Csv => csv::write(report, out),
    }
}
