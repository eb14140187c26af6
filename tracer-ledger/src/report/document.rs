//! A report for people, from top to bottom. Each verb defines the content of its report once; the
//! rendering for a terminal and for Markdown is a file each.

use crate::claims::Verdict;

/// A part of a report.
#[derive(Debug)]
pub(super) enum Section {
    /// Warnings about the numbers.
    Warnings(Vec<String>),
    /// The answer: a sentence or two.
    Answer(Vec<String>),
    /// Rows and columns, with a heading if it needs one.
    Table(Table),
    /// The meanings of columns and marks.
    Legend(Vec<String>),
    /// One finding a line, each behind its mark.
    Notes(Vec<Note>),
    /// Names, with a text for each.
    Facts(Vec<Fact>),
}

/// A table. Its cells are short texts in one line; longer ones are below a row.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) title: Option<&'static str>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What columns and signs mean, in one paragraph below.
    pub(super) legend: Vec<Key>,
}

/// What a column or a sign means.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) text: String,
    /// The column it is said of: not said where that has left.
    pub(super) of: Option<Column>,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// In one line or two.
    pub(super) heading: &'static str,
    pub(super) form: Form,
    /// If there is no room for all columns, the one with the highest number is dropped first; 0 stays.
    pub(super) leaves: u8,
}

/// The layout of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Words, never cut.
    Word,
    /// Numbers, never cut.
    Number,
    /// Drawn for a screen; a document has the number beside it.
    Bar,
    /// Names of any length, chosen by others: cut to the available room, but not below `least` columns.
    Name { least: usize },
}

/// A row of a table.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// Sentences about the row.
    pub(super) below: Vec<Line>,
}

/// What is in a row and a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) text: Text,
    pub(super) tone: Tone,
}

/// The text of a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Plain(String),
    /// From one name to the other.
    Way(String, String),
    /// Drawn; its number has a cell of its own.
    Bar(Bar),
}

/// A number as a bar, the textbook's as a tick on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) measured: f64,
    pub(super) documented: Option<f64>,
    /// The number of the longest bar.
    pub(super) longest: f64,
}

/// A sentence about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// The tone of a text, which colour may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// A name to find a row by.
    Strong,
    /// Less important than what is around it.
    Dim,
    /// As expected.
    Good,
    /// Not as expected, and explained.
    Fair,
    /// Not as expected.
    Bad,
    /// Not known.
    Open,
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Confirmed => Self::Good,
            Verdict::Refined => Self::Fair,
            Verdict::Refuted => Self::Bad,
            Verdict::NotMeasurable | Verdict::NotTested => Self::Open,
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) mark: char,
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// A name, with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) text: String,
}

impl Column {
    pub(super) const fn word(heading: &'static str) -> Self {
        Self { heading, form: Form::Word, leaves: 0 }
    }

    pub(super) const fn number(heading: &'static str) -> Self {
        Self { heading, form: Form::Number, leaves: 0 }
    }

    pub(super) const fn name(heading: &'static str, least: usize) -> Self {
        Self { heading, form: Form::Name { least }, leaves: 0 }
    }

    pub(super) const fn bar() -> Self {
        Self { heading: "", form: Form::Bar, leaves: 0 }
    }

    /// The heading in one line.
    pub(super) fn title(&self) -> String {
        self.heading.replace("-\n", "").replace('\n', " ").trim().to_owned()
    }

    /// The column leaves a table that is too wide, before those with lower numbers.
    pub(super) const fn leaves(self, leaves: u8) -> Self {
        Self { leaves, ..self }
    }
}

impl Table {
    /// The legend beside such columns.
    pub(super) fn legend(&self, is_there: impl Fn(&Column) -> bool) -> String {
        let said = self.legend.iter().filter(|key| key.of.as_ref().is_none_or(&is_there));
        said.map(|key| key.text.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl Key {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), of: None }
    }

    pub(super) fn of(column: Column, text: impl Into<String>) -> Self {
        Self { text: text.into(), of: Some(column) }
    }
}

impl Row {
    pub(super) fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self { cells: cells.into_iter().collect(), below: Vec::new() }
    }
}

impl Table {
    /// The columns that have something in them, each with its place in a row.
    pub(super) fn used(&self) -> Vec<(usize, Column)> {
        let is_used = |index: usize| self.rows.iter().any(|row| !row.cells[index].is_empty());
        let columns = self.columns.iter().copied().enumerate();
        columns.filter(|(index, _)| is_used(*index)).collect()
    }
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: Text::Plain(text.into()), tone: Tone::Plain }
    }

    pub(super) fn way(from: String, to: String) -> Self {
        Self { text: Text::Way(from, to), tone: Tone::Plain }
    }

    pub(super) fn bar(bar: Bar) -> Self {
        Self { text: Text::Bar(bar), tone: Tone::Plain }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.text, Text::Plain(text) if text.is_empty())
    }

    pub(super) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

impl Line {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl Fact {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}
