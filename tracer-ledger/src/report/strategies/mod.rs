//! The report on strategies, which `demo` makes: its model, and what people read of it.

mod answer;
mod csv;
mod document;
mod drawing;
mod environment;
mod model;
mod notes;
mod verification;
mod words;

pub(super) use answer::answer;
pub(super) use document::{after_pictures, before_pictures, difference, page, setting};
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
