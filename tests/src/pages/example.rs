//! The example of a page, `docs/page.html`, and its picture, which needs a browser.

use anyhow::{Context as _, Result};
use xtask::cargo::workspace;
use xtask::say::note;

use super::screen::only;
use super::{Page, Source};
use crate::check::Tier;
use crate::support::browser;

const FILE: &str = "docs/page.html";
const PICTURE: &str = "docs/page.png";

/// Pixels of the picture: from the answer to the table.
const SIZE: [u32; 2] = [1280, 1150];

pub const PAGE: Page = Page {
    name: "matrix: the page that README shows",
    file: FILE,
    source: Source::Copytrace(&["demo", "--format", "html"]),
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| {
        let page = &only(all)?.text;
        draw(page)?;
        Ok(page.clone())
    },
};

/// Draws the page anew, if there is what draws it.
fn draw(page: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.html");
    std::fs::write(&file, page)?;
    match browser::draw(&file, &workspace().join(PICTURE), SIZE).context("it cannot be drawn") {
        Ok(()) => note(&format!("{PICTURE} is written")),
        Err(error) => note(&format!("{PICTURE} stays as it is: {error:#}")),
    }
    Ok(())
}
