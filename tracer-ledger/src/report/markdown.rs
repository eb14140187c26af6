//! A report in a document, in GitHub's flavour of Markdown.

use std::io;

use super::{
    document::{Cell, Column, Fact, Form, Note, Row, Section, Table, Text, Tone},
    escape::markdown as escaped,
};

/// Writes a report.
pub(super) fn write(sections: &[Section], out: &mut dyn io::Write) -> io::Result<()> {
    let mut is_first = true;
    for section in sections {
        let mut text = Vec::new();
        write_section(section, &mut text)?;
        if text.is_empty() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            writeln!(out)?;
        }
        out.write_all(&text)?;
    }
    Ok(())
}

fn write_section(section: &Section, out: &mut dyn io::Write) -> io::Result<()> {
    match section {
        Section::Warnings(warnings) => {
            let quoted: Vec<_> =
                warnings.iter().map(|text| format!("> **Warning:** {}\n", escaped(text))).collect();
            write!(out, "{}", quoted.join("\n"))
        }
        Section::Answer(sentences) => {
            sentences.iter().try_for_each(|text| writeln!(out, "**{}**", escaped(text)))
        }
        Section::Table(table) => write_table(table, out),
        Section::Legend(lines) => {
            lines.iter().try_for_each(|line| writeln!(out, "{}", escaped(line)))
        }
        Section::Notes(notes) => notes
            .iter()
            .try_for_each(|Note { mark, text, .. }| writeln!(out, "- {mark} {}", escaped(text))),
        Section::Facts(facts) => facts.iter().try_for_each(|Fact { name, text }| {
            writeln!(out, "- **{}** {}", escaped(name), escaped(text))
        }),
    }
}

fn write_table(table: &Table, out: &mut dyn io::Write) -> io::Result<()> {
    if table.rows.is_empty() {
        return Ok(());
    }
    if let Some(title) = table.title {
        writeln!(out, "**{title}**\n")?;
    }
    let mut columns = table.used();
    columns.retain(|(_, column)| column.form != Form::Bar);
    let has_more = table.rows.iter().any(|row| !row.below.is_empty());
    let headings = columns.iter().map(|(_, column)| column.title());
    let headings: Vec<_> = headings.chain(has_more.then(String::new)).collect();
    let rules = columns.iter().map(|(_, column)| rule(column));
    let rules: String = rules.chain(has_more.then_some("---|")).collect();
    writeln!(out, "| {} |\n|{rules}", headings.join(" | "))?;
    for row in &table.rows {
        let cells = columns.iter().map(|(index, _)| row.cells[*index].words());
        let cells: Vec<_> = cells.chain(has_more.then(|| sentences(row))).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    let legend = table.legend(|column| columns.iter().any(|(_, other)| other == column));
    if !legend.is_empty() {
        writeln!(out, "\n{}", escaped(&legend))?;
    }
    Ok(())
}

fn rule(column: &Column) -> &'static str {
    if column.form == Form::Number { "---:|" } else { "---|" }
}

/// The sentences about a row.
fn sentences(row: &Row) -> String {
    let lines = row.below.iter().filter(|line| line.tone != Tone::Dim);
    lines.map(|line| escaped(&line.text)).collect::<Vec<_>>().join("; ")
}

impl Cell {
    fn words(&self) -> String {
        match &self.text {
            Text::Plain(text) => escaped(text),
            Text::Way(from, to) => escaped(&format!("{from} → {to}")),
            Text::Bar(_) => String::new(),
        }
    }
}
