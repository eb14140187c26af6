//! Pictures for a page, which has everything but the drawing itself in its own text.

use super::{
    average,
    layout::Layout,
    picture::{Count, Picture},
    pictures, skipped,
    svg::{self, Alone, Entry},
    words,
};
use crate::report::{Report, document::Tone};

/// The pictures of a report.
#[derive(Debug)]
pub(in crate::report) struct Figures {
    pub(in crate::report) figures: Vec<Figure>,
    /// What lines and marks mean.
    pub(in crate::report) key: Vec<Entry>,
    /// What is to be said of all, and of strategies without a picture.
    pub(in crate::report) lines: Vec<String>,
}

/// One of them.
#[derive(Debug)]
pub(in crate::report) struct Figure {
    pub(in crate::report) name: String,
    /// How the numbers stand beside the textbook's.
    pub(in crate::report) judged: String,
    pub(in crate::report) tone: Tone,
    pub(in crate::report) numbers: Vec<Number>,
    pub(in crate::report) drawing: Alone,
    /// What is said below it.
    pub(in crate::report) lines: Vec<String>,
}

/// A number, what it counts, and the textbook's.
#[derive(Debug)]
pub(in crate::report) struct Number {
    pub(in crate::report) number: String,
    pub(in crate::report) noun: &'static str,
    pub(in crate::report) documented: Option<String>,
}

impl Figures {
    /// Of each strategy that was measured.
    pub(in crate::report) fn of(report: &Report) -> Self {
        let (one, besides) = average::of_one_message(report);
        let pictures = pictures(&one);
        let figure = |((picture, layout), besides): (&(Picture, Layout), Option<String>)| {
            Figure::of(picture, layout, besides)
        };
        let messages = report.payload.messages;
        let average = (messages > 1).then(|| words::average(messages));
        Self {
            figures: pictures.iter().zip(besides).map(figure).collect(),
            key: svg::key(&pictures),
            lines: average.into_iter().chain(skipped(report)).collect(),
        }
    }
}

impl Figure {
    fn of(picture: &Picture, layout: &Layout, besides: Option<String>) -> Self {
        let lines = layout.lines.iter().chain(&picture.lines).cloned();
        Self {
            name: picture.name.clone(),
            judged: picture.judged.trim().to_owned(),
            tone: picture.verdict.map_or(Tone::Plain, Tone::from),
            numbers: picture.counts.iter().map(Number::of).collect(),
            drawing: Alone::of(picture, layout),
            lines: lines.chain(besides).collect(),
        }
    }
}

impl Number {
    fn of(count: &Count) -> Self {
        let documented = count.documented.as_ref();
        Self {
            number: count.number.clone(),
            noun: count.noun,
            documented: documented.map(|number| format!("{}: {number}", words::TEXTBOOK)),
        }
    }
}
