//! The report with pictures, in each of its forms.

use std::io;

use super::{
    Report, Style,
    diagram::{self, Pictures, pictures, skipped},
    html, json,
    strategies::{after_pictures, before_pictures, page},
    terminal,
};

/// The form of pictures.
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
    /// A page for a browser, in one file: the pictures, the table and how it was measured
    Html,
    /// What was measured, in the JSON document of `copytrace demo`
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
        Format::Svg => diagram::svg::write(report, &pictures, out),
        Format::Mermaid => diagram::mermaid::write(report, &pictures, out),
        Format::Html => html::write(&page(report), out),
        Format::Json => json::write(report, out),
    }
}

/// The answer, the pictures, what their lines mean, and where they were measured.
fn write_text(
    report: &Report,
    pictures: &Pictures,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut before = Vec::new();
    terminal::write(&before_pictures(report), style, &mut before)?;
    if !before.is_empty() {
        out.write_all(&before)?;
        writeln!(out)?;
    }
    diagram::terminal::write(pictures, style, out)?;
    writeln!(out)?;
    let legend = diagram::terminal::legend(pictures, style.ascii);
    terminal::write(&after_pictures(report, legend, skipped(report)), style, out)
}
