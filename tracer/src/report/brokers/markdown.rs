//! Tables for a document, in GitHub's flavour of Markdown.

use std::io;

use super::{
    super::{markdown::warnings, words::mark},
    BrokerReport, words,
};

pub(super) fn write(report: &BrokerReport, out: &mut dyn io::Write) -> io::Result<()> {
    warnings(report.lost_events, &report.warnings, out)?;
    table(out, &words::SPEED, report.delivered.iter().map(words::speed))?;
    writeln!(out, "\n{}.\n", words::UNITS)?;
    table(out, &words::COUNTS, report.delivered.iter().map(words::counts))?;
    writeln!(out)?;
    for line in words::differences(report) {
        writeln!(out, "- {line}")?;
    }
    writeln!(out, "\nTo disk:\n")?;
    for row in &report.produced {
        writeln!(out, "- {}", words::produced(row))?;
    }
    writeln!(out, "\n| flavour | feature | answer | |\n|---|---|---|---|")?;
    for row in &report.features {
        writeln!(out, "| {} | {} | {} | {} |", row.flavour, row.feature, row.answer, row.note)?;
    }
    writeln!(out, "\nCrashes: {}.\n", words::survival(report))?;
    writeln!(out, "| claim | verdict | the documents | measured |\n|---|---|---|---|")?;
    for claim in &report.claims {
        let sign = mark(claim.verdict);
        writeln!(
            out,
            "| {} | {sign} {} | {} | {} |",
            claim.id, claim.verdict, claim.text, claim.note
        )?;
    }
    let setting = words::setting(report);
    let setting = setting.iter().map(|(name, value)| format!("**{name}** {value}"));
    writeln!(out, "\n{}", setting.collect::<Vec<_>>().join(" · "))
}

fn table(
    out: &mut dyn io::Write,
    headings: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let one_line = |heading: &&str| heading.replace("-\n", "").replace('\n', " ");
    let headings: Vec<_> = headings.iter().map(one_line).collect();
    let right = "---:|".repeat(headings.len() - words::NAMES);
    writeln!(out, "| {} |\n|{}{right}", headings.join(" | "), "---|".repeat(words::NAMES))?;
    rows.into_iter().try_for_each(|row| writeln!(out, "| {} |", row.join(" | ")))
}
