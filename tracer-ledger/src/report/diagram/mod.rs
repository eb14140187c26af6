//! Pictures of the way of the bytes: user mode, the kernel and devices, and what moves between their places.
//!
//! A [`Picture`] is the content, its [`Layout`] the positions, and a file for each format draws it.

mod average;
mod crossing;
mod figure;
mod grid;
mod layout;
pub(super) mod mermaid;
mod parts;
mod picture;
pub(super) mod svg;
pub(super) mod terminal;
pub(super) mod words;

#[cfg(test)]
mod tests;

pub(super) use figure::Figures;
use layout::Layout;
pub(super) use picture::FEW;
use picture::Picture;

use super::Report;

/// Pictures, each with the places of what is on it.
pub(super) type Pictures = Vec<(Picture, Layout)>;

/// A picture of each strategy that was measured, all of the same height.
pub(super) fn pictures(report: &Report) -> Pictures {
    let pictures: Vec<Picture> =
        report.measured().map(|measured| Picture::of(measured, report)).collect();
    let is_tall = layout::is_tall(&pictures);
    let laid_out = |picture| {
        let layout = Layout::of(&picture, is_tall);
        (picture, layout)
    };
    pictures.into_iter().map(laid_out).collect()
}

/// What the pictures show.
pub(super) fn title(report: &Report) -> String {
    words::title(report.measured().map(|measured| measured.name.clone()).collect(), &report.payload)
}

/// Strategies without a picture, with the reason.
pub(super) fn skipped(report: &Report) -> Vec<String> {
    report.skipped().map(|row| words::skipped(&row.name, &row.skipped)).collect()
}
