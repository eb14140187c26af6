//! Pictures of the way of the bytes: user mode, the kernel and devices, and what moves between their places.
//!
//! A [`Picture`] is the content, its [`Layout`] the positions, and a file for each format draws it.

mod crossing;
mod grid;
mod layout;
mod mermaid;
mod picture;
mod svg;
mod terminal;
pub(super) mod words;

#[cfg(test)]
mod tests;

use std::io;

use layout::Layout;
pub(super) use picture::FEW;
use picture::Picture;

use super::{
    Report, Style, json,
    strategies::{after_pictures, before_pictures},
};

/// The format of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// Pictures for the terminal
    #[default]
    Text,
    /// A picture for a page or a slide
    Svg,
    /// A flowchart, for a Markdown document
    Mermaid,
    /// The JSON document of `copytrace demo`
    Json,
}

/// Writes a picture of each strategy that was measured. Only the text looks at the style.
pub fn write(
    format: Format,
    report: &Report,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let pictures = pictures(report);
    match format {
        Format::Text => write_text(report, &pictures, style, out),
        Format::Svg => svg::write(report, &pictures, out),
        Format::Mermaid => mermaid::write(report, &pictures, out),
        Format::Json => json::write(report, out),
    }
}

/// The answer, the pictures, the key to their lines, and the environment of the measurement.
fn write_text(
    report: &Report,
    pictures: &[(Picture, Layout)],
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut before = Vec::new();
    super::terminal::write(&before_pictures(report), style, &mut before)?;
    if !before.is_empty() {
        out.write_all(&before)?;
        writeln!(out)?;
    }
    terminal::write(pictures, style, out)?;
    writeln!(out)?;
    let legend = terminal::legend(pictures, style.ascii);
    super::terminal::write(&after_pictures(report, legend, skipped(report)), style, out)
}

/// A picture of each strategy that was measured, all of the same height.
fn pictures(report: &Report) -> Vec<(Picture, Layout)> {
    let pictures: Vec<Picture> =
        report.measured().map(|measured| Picture::of(measured, report)).collect();
    let is_tall = layout::is_tall(&pictures);
    let laid_out = |picture| {
        let layout = Layout::of(&picture, is_tall);
        (picture, layout)
    };
    pictures.into_iter().map(laid_out).collect()
}

/// The title of the pictures.
fn title(report: &Report) -> String {
    words::title(report.measured().map(|measured| measured.name.clone()).collect(), &report.payload)
}

/// Strategies without a picture, with the reason.
fn skipped(report: &Report) -> Vec<String> {
    report.skipped().map(|row| words::skipped(&row.name, &row.skipped)).collect()
}
