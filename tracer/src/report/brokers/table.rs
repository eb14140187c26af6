//! The tables for a terminal, and below them what was tried and what follows.

use std::io;

use comfy_table::{Cell, CellAlignment};

use super::{
    super::{
        Style,
        table::{Lead, bold, empty, named, paragraph, trimmed, warnings},
        words::mark,
    },
    BrokerReport, words,
};

pub(super) fn write(
    report: &BrokerReport,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    warnings(report.lost_events, &report.warnings, style, out)?;
    let speed = report.delivered.iter().map(words::speed);
    writeln!(out, "{}\n", table(style, &words::SPEED, speed))?;
    paragraph(out, style, Lead::plain(" "), words::UNITS, |text| style.dim(text))?;
    let counts = report.delivered.iter().map(words::counts);
    writeln!(out, "\n{}", table(style, &words::COUNTS, counts))?;
    let list = |out: &mut dyn io::Write, name: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            writeln!(out)?;
        }
        lines.iter().enumerate().try_for_each(|(index, line)| {
            named(out, style, if index == 0 { name } else { "" }, line)
        })
    };
    list(out, "Since when", words::differences(report))?;
    list(out, "To disk", report.produced.iter().map(words::produced).collect())?;
    list(out, "Features", words::features(report))?;
    list(out, "Crashes", vec![words::survival(report)])?;
    writeln!(out)?;
    for claim in &report.claims {
        let sign = format!(" {} ", mark(claim.verdict));
        let lead = Lead { painted: style.verdict(claim.verdict, &sign), plain: &sign };
        let text = format!("{} {}: {}: {}", claim.id, claim.verdict, claim.text, claim.note);
        paragraph(out, style, lead, &text, str::to_owned)?;
    }
    writeln!(out)?;
    words::setting(report).iter().try_for_each(|(name, value)| named(out, style, name, value))
}

fn table(style: &Style, headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = empty(style);
    table.set_header(headings.iter().map(|heading| bold(Cell::new(heading))));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(words::NAMES) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    trimmed(&table)
}
