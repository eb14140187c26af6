//! A report on a terminal: as wide as that is, and never wider. Columns leave a table rather than that a
//! cell is broken; only below what the columns need that stay, lines become longer.

use std::io;

use comfy_table::{
    Attribute, Cell as TableCell, CellAlignment, Color, ContentArrangement, LineStyle,
    Table as Drawn, TableStyle,
};

use super::{
    Style,
    document::{Bar, Cell, Column, Fact, Form, Line, Note, Row, Section, Table, Text, Tone},
    text::{LEAST, columns, fitted, way, wrap},
};

/// A rule under the headings, and no other line.
const RULE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));
const ASCII_RULE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('-'));

/// Columns of the longest bar.
const BAR: f64 = 8.0;

const WARNING: &str = " WARNING  ";

/// The left margin of every line.
const MARGIN: &str = " ";

/// Columns between two columns.
const GAP: usize = 2;

/// Columns of a paragraph: longer lines are hard to read.
const PARAGRAPH: usize = 100;

/// Sentences below a row begin where the last column does, if that leaves them so many columns and makes
/// them no longer.
const BELOW: usize = 34;

/// The indentation of other lines.
const INDENT: usize = 5;

/// Writes a report.
pub(super) fn write(
    sections: &[Section],
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let sections: Vec<_> = sections.iter().filter(|section| !section.is_empty()).collect();
    for (index, section) in sections.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| sections[before]);
        if before.is_some_and(|before| !section.continues(before)) {
            writeln!(out)?;
        }
        write_section(section, style, out)?;
    }
    Ok(())
}

fn write_section(section: &Section, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    match section {
        Section::Warnings(warnings) => warnings.iter().try_for_each(|warning| {
            let lead = Lead { painted: style.alarm(WARNING), width: columns(WARNING) };
            paragraph(out, style, lead, warning, |text| style.alarm(text))
        }),
        Section::Answer(sentences) => sentences.iter().try_for_each(|sentence| {
            paragraph(out, style, Lead::margin(), sentence, |text| style.toned(Tone::Strong, text))
        }),
        Section::Table(table) => write_table(table, style, out),
        Section::Legend(lines) => lines.iter().try_for_each(|line| write_legend(line, style, out)),
        Section::Notes(notes) => notes.iter().try_for_each(|note| write_note(note, style, out)),
        Section::Facts(facts) => write_facts(facts, style, out),
    }
}

fn write_note(note: &Note, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let mark = format!("{MARGIN}{} ", style.drawn(&note.mark.to_string()));
    let lead = Lead { width: columns(&mark), painted: style.toned(note.tone, &mark) };
    paragraph(out, style, lead, &note.text, str::to_owned)
}

/// Columns that the names of facts take at least.
const NAME: usize = 10;

fn write_facts(facts: &[Fact], style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let width = facts.iter().map(|fact| columns(&fact.name)).max().unwrap_or_default().max(NAME);
    facts.iter().try_for_each(|Fact { name, text }| {
        let lead = format!("{MARGIN}{name:<width$}  ");
        let lead = Lead { width: columns(&lead), painted: style.toned(Tone::Strong, &lead) };
        paragraph(out, style, lead, text, str::to_owned)
    })
}

fn write_table(table: &Table, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    if let Some(title) = table.title {
        writeln!(out, "{MARGIN}{}\n", style.toned(Tone::Strong, title))?;
    }
    let layout = Layout::of(table, style);
    let drawn = layout.draw(table, style);
    let mut lines = drawn.lines();
    for line in lines.by_ref().take(layout.lines_of_header()) {
        writeln!(out, "{MARGIN}{}", line.trim_end())?;
    }
    for (row, line) in table.rows.iter().zip(lines) {
        writeln!(out, "{MARGIN}{}", line.trim_end())?;
        for Line { text, tone } in &row.below {
            let lead = Lead { painted: " ".repeat(layout.below), width: layout.below };
            paragraph(out, style, lead, text, |text| style.toned(*tone, text))?;
        }
    }
    let legend = table.legend(|column| layout.has(column));
    if !legend.is_empty() {
        writeln!(out)?;
        write_legend(&legend, style, out)?;
    }
    Ok(())
}

fn write_legend(text: &str, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    paragraph(out, style, Lead::margin(), text, |text| style.toned(Tone::Dim, text))
}

/// Which columns a table has where there is so much room, and how wide they are.
struct Layout {
    columns: Vec<(usize, Column)>,
    widths: Vec<usize>,
    /// The indentation of sentences below a row.
    below: usize,
}

impl Layout {
    fn of(table: &Table, style: &Style) -> Self {
        let width = usize::from(style.width);
        let mut columns = table.used();
        loop {
            let widths = widths(&columns, table, style);
            let needed = columns.iter().zip(&widths);
            let needed = needed.map(|((_, column), width)| GAP + least(*column, *width));
            let needed = needed.sum::<usize>().saturating_sub(GAP);
            let last = columns.iter().map(|(_, column)| column.leaves).max().unwrap_or_default();
            if MARGIN.len() + needed <= width || last == 0 {
                let widths = shared(&columns, widths, width.saturating_sub(MARGIN.len()));
                let below = below(&widths, table, width);
                return Self { columns, widths, below };
            }
            columns.retain(|(_, column)| column.leaves != last);
        }
    }

    fn has(&self, column: &Column) -> bool {
        self.columns.iter().any(|(_, other)| other == column)
    }

    /// The headings, and the rule.
    fn lines_of_header(&self) -> usize {
        let lines = self.columns.iter().map(|(_, column)| column.heading.lines().count());
        lines.max().unwrap_or_default().max(1) + 1
    }

    fn draw(&self, table: &Table, style: &Style) -> Drawn {
        let mut drawn = Drawn::new();
        drawn.load_style(if style.ascii { ASCII_RULE } else { RULE });
        drawn.set_content_arrangement(ContentArrangement::Disabled);
        if style.color {
            drawn.enforce_styling();
        } else {
            drawn.force_no_tty();
        }
        drawn.set_header(
            self.columns
                .iter()
                .map(|(_, column)| style.drawn(column.heading))
                .map(|heading| TableCell::new(heading).add_attribute(Attribute::Bold)),
        );
        for row in &table.rows {
            drawn.add_row(self.cells(row, style));
        }
        let last = self.columns.len().saturating_sub(1);
        for (index, column) in drawn.column_iter_mut().enumerate() {
            let gap = if index == last { 0 } else { GAP as u16 };
            column.set_padding((0, gap));
            if self.columns[index].1.form == Form::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        drawn
    }

    fn cells(&self, row: &Row, style: &Style) -> Vec<TableCell> {
        let cells = self.columns.iter().zip(&self.widths);
        cells
            .map(|((index, column), width)| draw(&row.cells[*index], *column, *width, style))
            .collect()
    }
}

fn draw(cell: &Cell, column: Column, width: usize, style: &Style) -> TableCell {
    let text = match (&cell.text, column.form) {
        (Text::Way(from, to), _) => {
            way(&style.drawn(from), &style.drawn(to), &style.drawn(" → "), width, style.cut())
        }
        (Text::Bar(bar), _) => style.drawn(&drawn_bar(*bar)).into_owned(),
        (Text::Plain(text), Form::Name { .. }) => fitted(&style.drawn(text), width, style.cut()),
        (Text::Plain(text), _) => style.drawn(text).into_owned(),
    };
    let drawn = TableCell::new(text);
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Strong => drawn.add_attribute(Attribute::Bold),
        Tone::Dim => drawn.add_attribute(Attribute::Dim),
        Tone::Good => drawn.fg(Color::DarkGreen),
        Tone::Fair => drawn.fg(Color::DarkYellow),
        Tone::Bad => drawn.fg(Color::DarkRed),
        Tone::Open => drawn.fg(Color::DarkMagenta),
    }
}

/// The tick is on the bar, or behind it.
fn drawn_bar(bar: Bar) -> String {
    let scaled = |number: f64| number / bar.longest * BAR;
    let length = scaled(bar.measured);
    let whole = length.floor() as usize;
    let mut drawn: Vec<char> = std::iter::repeat_n('█', whole).collect();
    if length - length.floor() >= 0.5 {
        drawn.push('▌');
    }
    if let Some(tick) = bar.documented.map(|number| scaled(number).round() as usize) {
        drawn.resize(drawn.len().max(tick + 1), ' ');
        drawn[tick] = '┃';
    }
    drawn.into_iter().collect()
}

/// What each column would take.
fn widths(of: &[(usize, Column)], table: &Table, style: &Style) -> Vec<usize> {
    let cell = |cell: &Cell| match &cell.text {
        Text::Plain(text) => columns(&style.drawn(text)),
        Text::Way(from, to) => {
            [from, " → ", to].into_iter().map(|part| columns(&style.drawn(part))).sum()
        }
        Text::Bar(bar) => columns(&style.drawn(&drawn_bar(*bar))),
    };
    let width = |(index, column): &(usize, Column)| {
        let cells = table.rows.iter().map(|row| cell(&row.cells[*index]));
        cells.chain(column.heading.lines().map(columns)).max().unwrap_or_default()
    };
    of.iter().map(width).collect()
}

/// The width to which a column of `width` is cut before other columns are dropped.
fn least(column: Column, width: usize) -> usize {
    match column.form {
        Form::Name { least } => width.min(least),
        _ => width,
    }
}

/// Names share what the other columns leave.
fn shared(columns: &[(usize, Column)], mut widths: Vec<usize>, room: usize) -> Vec<usize> {
    let is_name = |index: usize| matches!(columns[index].1.form, Form::Name { .. });
    let mut names: Vec<usize> = (0..widths.len()).filter(|index| is_name(*index)).collect();
    let others: usize =
        (0..widths.len()).filter(|index| !is_name(*index)).map(|it| widths[it]).sum();
    let mut room = room.saturating_sub(others + GAP * widths.len().saturating_sub(1));
    // The shorter ones first: what they do not need is for the longer ones.
    names.sort_by_key(|index| widths[*index]);
    for (index, name) in names.iter().enumerate() {
        let least = |name: usize| least(columns[name].1, widths[name]);
        let later: usize = names[index + 1..].iter().map(|it| least(*it)).sum();
        let share = (room / (names.len() - index)).max(least(*name));
        widths[*name] = widths[*name].min(share.min(room.saturating_sub(later)).max(LEAST));
        room = room.saturating_sub(widths[*name]);
    }
    widths
}

fn below(widths: &[usize], table: &Table, width: usize) -> usize {
    let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
    let start = MARGIN.len() + before;
    let sentences = || table.rows.iter().flat_map(|row| &row.below);
    let lines = |start| -> usize {
        sentences().map(|line| wrap(&line.text, room(start, width)).len()).sum()
    };
    let has_room = start + BELOW <= width && lines(start) <= lines(INDENT);
    if has_room { start } else { INDENT }
}

/// Columns that a paragraph has behind its lead.
fn room(lead: usize, width: usize) -> usize {
    width.min(lead + PARAGRAPH).saturating_sub(lead)
}

/// The beginning of a paragraph's first line, which indents the others.
struct Lead {
    painted: String,
    width: usize,
}

impl Lead {
    fn margin() -> Self {
        Self { painted: MARGIN.to_owned(), width: columns(MARGIN) }
    }
}

fn paragraph(
    out: &mut dyn io::Write,
    style: &Style,
    lead: Lead,
    text: &str,
    paint: impl Fn(&str) -> String,
) -> io::Result<()> {
    let mut before = lead.painted;
    for line in wrap(&style.drawn(text), room(lead.width, usize::from(style.width))) {
        writeln!(out, "{before}{}", paint(&line))?;
        before = " ".repeat(lead.width);
    }
    Ok(())
}

impl Section {
    /// Whether both are a legend of the same table.
    fn continues(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Legend(_), Self::Table(table)) => !table.legend.is_empty(),
            _ => false,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Warnings(lines) | Self::Answer(lines) | Self::Legend(lines) => lines.is_empty(),
            Self::Table(table) => table.rows.is_empty(),
            Self::Notes(notes) => notes.is_empty(),
            Self::Facts(facts) => facts.is_empty(),
        }
    }
}
