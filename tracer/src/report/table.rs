//! The table for a terminal, and below it what it was measured on and what was seen.

use std::io;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle,
};

use super::{
    Report, StrategyRow, Style,
    notes::notes,
    story, verification, words,
    wrap::{columns, wrap},
};
use crate::claims::{Judgement, Quantity, Verdict};

/// Column headings, in two lines; those in the middle are [`Quantity::ALL`].
const HEADINGS: [&str; Quantity::ALL.len() + 3] = [
    "strategy",
    "system\ncalls",
    "mode\nswitches",
    "CPU\ncopies",
    "DMA\ncopies",
    "all\ncopies",
    "page\nfaults",
    "context\nswitches",
];

/// A rule under the headings, and no other line.
const RULE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

const WARNING: &str = " WARNING  ";

const UNITS: &str =
    "Calls, switches and faults a message, copies a payload byte; faults: user + kernel mode";

pub(super) fn write(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    warnings(report.lost_events, &report.warnings, style, out)?;
    if report.lost_events > 0 || !report.warnings.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}\n", trimmed(&strategies(report, style)))?;
    for line in [words::LEGEND, UNITS] {
        paragraph(out, style, Lead::plain(" "), line, |text| style.dim(text))?;
    }
    notes_below(report, style, out)?;
    setting(report, style, out)?;
    stories(report, style, out)?;
    verification(report, style, out)
}

/// What to know before trusting the numbers.
pub(super) fn warnings(
    lost_events: u64,
    warnings: &[String],
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for warning in words::lost(lost_events).iter().chain(warnings) {
        let lead = Lead { painted: style.alarm(WARNING), plain: WARNING };
        paragraph(out, style, lead, warning, |text| style.alarm(text))?;
    }
    Ok(())
}

fn strategies(report: &Report, style: &Style) -> Table {
    let mut table = empty(style);
    table.set_header(HEADINGS.map(|heading| bold(Cell::new(heading))));
    for row in &report.strategies {
        table.add_row(cells(row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table that colours its cells as the style says, whatever it thinks of the terminal.
pub(super) fn empty(style: &Style) -> Table {
    let mut table = Table::new();
    table
        .load_style(RULE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.width);
    if style.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

fn cells(row: &StrategyRow) -> Vec<Cell> {
    match row {
        StrategyRow::Measured(measured) => {
            let mut cells = vec![bold(Cell::new(words::folded(&measured.name)))];
            cells.extend(measured.quantities.iter().map(compared));
            cells.extend([words::faults(measured), words::switches(measured)].map(Cell::new));
            cells
        }
        StrategyRow::Skipped(skipped) => {
            let mut cells = vec![bold(Cell::new(words::folded(&skipped.name)))];
            cells.extend((1..HEADINGS.len()).map(|_| Cell::new("–")));
            cells
        }
    }
}

fn compared(judgement: &Judgement) -> Cell {
    let cell = Cell::new(words::comparison(judgement));
    match judgement.verdict {
        Some(verdict) => cell.fg(color(verdict)),
        None => cell,
    }
}

pub(super) fn bold(cell: Cell) -> Cell {
    cell.add_attribute(Attribute::Bold)
}

pub(super) fn color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Confirmed => Color::DarkGreen,
        Verdict::Refined => Color::DarkYellow,
        Verdict::Refuted => Color::DarkRed,
        Verdict::NotMeasurable | Verdict::NotTested => Color::DarkMagenta,
    }
}

fn notes_below(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let notes = notes(report);
    if !notes.is_empty() || report.skipped().next().is_some() {
        writeln!(out)?;
    }
    for note in notes {
        let mark = format!(" {} ", words::mark(note.verdict));
        let lead = Lead { painted: style.verdict(note.verdict, &mark), plain: &mark };
        paragraph(out, style, lead, &note.text(), str::to_owned)?;
    }
    for skipped in report.skipped() {
        let text = format!("{} was skipped: {}", skipped.name, skipped.skipped);
        paragraph(out, style, Lead::plain(" – "), &text, str::to_owned)?;
    }
    Ok(())
}

fn setting(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out)?;
    for (name, value) in words::setting(&report.environment, &report.payload) {
        named(out, style, name, &value)?;
    }
    Ok(())
}

fn stories(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    for measured in report.measured() {
        writeln!(out)?;
        named(out, style, &measured.name, &story::tell(measured))?;
    }
    Ok(())
}

fn verification(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let checks = verification::checks(report);
    if checks.is_empty() {
        return Ok(());
    }
    let mut table = empty(style);
    table.set_header(verification::HEADINGS.map(|heading| bold(Cell::new(heading))));
    for check in checks {
        table.add_row(check);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "\n{}", trimmed(&table))
}

/// What stands before a paragraph's first line, and indents the others.
pub(super) struct Lead<'a> {
    pub(super) plain: &'a str,
    pub(super) painted: String,
}

impl<'a> Lead<'a> {
    pub(super) fn plain(text: &'a str) -> Self {
        Self { plain: text, painted: text.to_owned() }
    }
}

/// A paragraph with a name in the margin.
pub(super) fn named(
    out: &mut dyn io::Write,
    style: &Style,
    name: &str,
    text: &str,
) -> io::Result<()> {
    let margin = format!(" {name:<10}  ");
    let lead = Lead { painted: style.bold(&margin), plain: &margin };
    paragraph(out, style, lead, text, str::to_owned)
}

pub(super) fn paragraph(
    out: &mut dyn io::Write,
    style: &Style,
    lead: Lead<'_>,
    text: &str,
    paint: impl Fn(&str) -> String,
) -> io::Result<()> {
    let margin = columns(lead.plain);
    let mut before = lead.painted;
    for line in wrap(text, usize::from(style.width).saturating_sub(margin)) {
        writeln!(out, "{before}{}", paint(&line))?;
        before = " ".repeat(margin);
    }
    Ok(())
}

/// The table without the spaces at the ends of its lines.
pub(super) fn trimmed(table: &Table) -> String {
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
