//! A report as a page for a browser: one file that needs no network, no other file and no script, and says
//! so to the browser. What a text says is escaped by the template, whatever it is.

mod flames;
#[cfg(test)]
pub(super) mod tests;

use std::{fmt, io};

use askama::Template;

pub(super) use flames::{Flames, Layer};

use super::{
    diagram::Figures,
    document::{Bar, Cell, Column, Form, Row, Section, Table, Text, Tone},
    escape,
};

/// The heading of where and how it was measured.
pub(super) const MEASURED: &str = "How it was measured";

/// What a page shows.
#[derive(Debug)]
pub(super) struct Page {
    /// What it is about, in a line.
    pub(super) title: String,
    /// From top to bottom.
    pub(super) parts: Vec<Part>,
}

/// A part of a page: of the report that people read in every form, or drawn.
#[derive(Debug)]
pub(super) enum Part {
    /// Of the parts below it.
    Heading(&'static str),
    Section(Section),
    Figures(Figures),
    Flames(Flames),
}

impl From<Section> for Part {
    fn from(section: Section) -> Self {
        Self::Section(section)
    }
}

impl Page {
    /// The first sentence of the answer.
    fn headline(&self) -> Option<&str> {
        let answers = self.parts.iter().filter_map(|part| match part {
            Part::Section(Section::Answer(sentences)) => sentences.first(),
            _ => None,
        });
        answers.map(String::as_str).next()
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    page: &'a Page,
}

impl Document<'_> {
    /// How it looks: its own, and that of pictures.
    fn style(&self) -> &'static str {
        concat!(include_str!("page.css"), include_str!("../diagram/style.css"))
    }
}

/// Writes a page.
pub(super) fn write(page: &Page, out: &mut dyn io::Write) -> io::Result<()> {
    Document { page }.write_into(out)
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "tone-strong",
            Self::Dim => "tone-dim",
            Self::Good => "tone-good",
            Self::Fair => "tone-fair",
            Self::Bad => "tone-bad",
            Self::Open => "tone-open",
        }
    }
}

impl Column {
    fn class_of(self, cell: &Cell) -> String {
        format!("{} {}", self.class(), cell.tone.class()).trim_end().to_owned()
    }

    fn class(self) -> &'static str {
        match self.form {
            Form::Word => "is-word",
            Form::Number => "is-number",
            Form::Bar => "is-bar",
            Form::Name { .. } => "is-name",
        }
    }
}

/// A column that has something in it.
struct Place {
    /// Where it is in a row.
    index: usize,
    column: Column,
    /// Whether it says what a row is about.
    is_subject: bool,
}

impl Table {
    fn places(&self) -> Vec<Place> {
        let is_word = |column: &Column| matches!(column.form, Form::Word | Form::Name { .. });
        let used = self.used();
        let subject = used.iter().find(|(_, column)| is_word(column)).map(|(index, _)| *index);
        let place = |(index, column)| Place { index, column, is_subject: subject == Some(index) };
        used.into_iter().map(place).collect()
    }

    /// The legend of the columns that are there.
    fn said(&self) -> String {
        let used = self.used();
        self.legend(|column| used.iter().any(|(_, other)| other == column))
    }
}

impl Row {
    /// Whether it is about the row before.
    fn is_aside(&self) -> bool {
        self.cells.first().is_some_and(|cell| cell.tone == Tone::Dim)
    }
}

/// What stands in a cell, with its mark-up.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Text::Plain(text) => f.write_str(&escape::markup(text.trim_start())),
            Text::Way(from, to) => {
                write!(f, "{} → {}", escape::markup(from), escape::markup(to))
            }
            Text::Bar(bar) => bar.fmt(f),
        }
    }
}

/// A bar as it is drawn, of a length that is set by the page.
impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |copies: f64| copies / self.longest * 100.0;
        let documented =
            self.documented.map(|copies| format!(", the textbook's number is {copies:.2}"));
        writeln!(
            f,
            "<svg class=\"bar\" role=\"img\" aria-label=\"{:.2}{}\">",
            self.measured,
            documented.unwrap_or_default()
        )?;
        writeln!(f, "<rect class=\"track\" y=\"4\" width=\"100%\" height=\"8\" rx=\"4\"/>")?;
        let width = percent(self.measured);
        writeln!(
            f,
            "<rect class=\"length\" y=\"4\" width=\"{width:.1}%\" height=\"8\" rx=\"4\"/>"
        )?;
        if let Some(at) = self.documented.map(percent) {
            writeln!(f, "<rect class=\"tick\" x=\"{at:.1}%\" width=\"2\" height=\"16\"/>")?;
        }
        write!(f, "</svg>")
    }
}
