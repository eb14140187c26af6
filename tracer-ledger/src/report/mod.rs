//! Reports: views of the ledger and of the verdicts on it.
//!
//! A verb's report is built once, as a model, and every format is a view of it: what one of them shows,
//! the others can show too. What people read is a list of sections, which are rendered by one file a
//! format for all verbs.

pub mod brokers;
mod diagram;
mod document;
pub mod escape;
pub mod explain;
pub mod flows;
mod html;
mod json;
mod markdown;
mod origin;
mod strategies;
mod style;
mod terminal;
pub(crate) mod text;

pub use json::write_schema;
pub use origin::Origin;
pub use strategies::{
    Environment, Measured, MovementRow, Outcome, Payload, PerMessage, Report, SCHEMA, Skipped,
    StrategyRow, Where, write,
};
pub use style::Style;

use std::io;

use document::Section;
use html::Page;
use serde::Serialize;

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// A table for the terminal, with explanations
    #[default]
    Table,
    /// One JSON document; `copytrace schema` prints its schema
    Json,
    /// A table for a document
    Markdown,
    /// A page for a browser, in one file
    Html,
    /// Comma-separated values, for a spreadsheet
    Csv,
}

/// Writes a report in a form: what people read of it with or without details, its page, the model, or its
/// lines.
fn write_in<R: Serialize>(
    format: Format,
    report: &R,
    sections: impl FnOnce(&R, bool) -> Vec<Section>,
    page: impl FnOnce(&R) -> Page,
    csv: impl FnOnce(&R, &mut dyn io::Write) -> io::Result<()>,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Table => terminal::write(&sections(report, style.details), style, out),
        Format::Json => json::write(report, out),
        Format::Markdown => markdown::write(&sections(report, true), out),
        Format::Html => html::write(&page(report), out),
        Format::Csv => csv(report, out),
    }
}
