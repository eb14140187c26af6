//! The report on strategies, which `demo` makes: its model, and what people read of it.

pub(super) mod answer;
mod csv;
mod document;
mod drawing;
mod environment;
pub(super) mod model;
mod notes;
pub(super) mod setting;
mod verification;
mod words;

pub(super) use document::{after_pictures, before_pictures, page};
pub use environment::{Environment, Where};
pub use model::{
    Measured, MovementRow, Outcome, Payload, PerMessage, Report, SCHEMA, Skipped, StrategyRow,
};

#[cfg(test)]
mod tests;

use std::io;

use super::{Format, Style, write_in};

/// Writes a report. Only the table looks at the style.
pub fn write(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    write_in(format, report, document::sections, page, csv::write, style, out)
}
