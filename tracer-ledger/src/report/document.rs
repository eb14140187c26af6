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

/// The content of a row and a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: Text,
    pub(super) tone: Tone,
}

/// The text of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Plain(String),
    /// From one name to the other.
    Way(String, String),
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

    /// The column is dropped from a table that is too wide, before those with lower numbers.
    pub(super) const fn leaves(self, leaves: u8) -> Self {
        Self { leaves, ..self }
    }
}

impl Row {
    pub(super) fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self { cells: cells.into_iter().collect(), below: Vec::new() }
    }
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: Text::Plain(text.into()), tone: Tone::Plain }
    }

    pub(super) fn way(from: String, to: String) -> Self {
        Self { text: Text::Way(from, to), tone: Tone::Plain }
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
