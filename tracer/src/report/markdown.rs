//! A table for a document, in GitHub's flavour of Markdown.

use std::io;

use super::{Report, StrategyRow, notes::notes, story, verification, words};
use crate::claims::Quantity;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    warnings(report.lost_events, &report.warnings, out)?;
    table(report, out)?;
    writeln!(
        out,
        "\n{}. Calls, switches and faults are per message, copies per payload byte; page faults \
         are those in user mode + those in kernel mode.\n",
        words::LEGEND
    )?;
    for note in notes(report) {
        writeln!(out, "- {} {}", words::mark(note.verdict), note.text())?;
    }
    for skipped in report.skipped() {
        writeln!(out, "- {} was skipped: {}", skipped.name, skipped.skipped)?;
    }
    let setting = words::setting(&report.environment, &report.payload);
    let setting = setting.map(|(name, value)| format!("**{name}** {value}"));
    writeln!(out, "\n{}", setting.join(" · "))?;
    for measured in report.measured() {
        writeln!(out, "\n**{}**: {}", measured.name, story::tell(measured))?;
    }
    verified(report, out)
}

/// What to know before trusting the numbers.
pub(super) fn warnings(
    lost_events: u64,
    warnings: &[String],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for warning in words::lost(lost_events).iter().chain(warnings) {
        writeln!(out, "> **Warning:** {warning}\n")?;
    }
    Ok(())
}

fn table(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "| strategy |")?;
    for quantity in Quantity::ALL {
        write!(out, " {quantity} |")?;
    }
    writeln!(out, " page faults | context switches |")?;
    writeln!(out, "|---|{}---:|---:|", "---:|".repeat(Quantity::ALL.len()))?;
    for row in &report.strategies {
        writeln!(out, "| {} |", cells(row).join(" | "))?;
    }
    Ok(())
}

fn cells(row: &StrategyRow) -> Vec<String> {
    match row {
        StrategyRow::Measured(measured) => {
            let compared = measured.quantities.iter().map(words::comparison);
            let mut cells = vec![measured.name.clone()];
            cells.extend(compared);
            cells.extend([words::faults(measured), words::switches(measured)]);
            cells
        }
        StrategyRow::Skipped(skipped) => {
            let mut cells = vec![skipped.name.clone()];
            cells.extend(std::iter::repeat_n("–".to_owned(), Quantity::ALL.len() + 2));
            cells
        }
    }
}

fn verified(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let checks = verification::checks(report);
    if checks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| {} |", verification::HEADINGS.join(" | "))?;
    writeln!(out, "|---|---|---:|---:|---:|")?;
    for check in checks {
        writeln!(out, "| {} |", check.join(" | "))?;
    }
    Ok(())
}
