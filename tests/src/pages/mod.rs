//! Pages of the documentation that are generated from a command's output on each kernel, in each tier:
//! `cargo xtask test --write-docs`. The output is checked as well, and is on the page either way.

mod matrix;
pub mod screen;
mod series;
mod verifier;

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use xtask::KernelVersion;
use xtask::cargo::workspace;
use xtask::say::note;

use crate::check::Tier;
use crate::table::{MAIN_KERNEL, OTHER_KERNELS};

/// A page.
pub struct Page {
    /// The name of its trial. Not the name of a check.
    pub name: &'static str,
    /// Its file.
    file: &'static str,
    /// The arguments of copytrace. A tier follows.
    pub arguments: &'static [&'static str],
    /// The tier on the usual kernel; if none, every tier on every kernel.
    tier: Option<Tier>,
    /// Checks an output.
    check: fn(&Printed) -> Result<()>,
    /// Makes the page from all outputs.
    write: fn(&[Printed]) -> Result<String>,
}

/// All pages.
pub static PAGES: [Page; 5] =
    [matrix::PAGE, verifier::PAGE, screen::DEMO, screen::CLASS, screen::PICTURE];

const TIERS: [Tier; 3] = [Tier::Fentry, Tier::Kprobe, Tier::Tracepoint];

/// The output in one tier on one kernel.
pub struct Printed {
    tier: Tier,
    text: String,
}

/// All outputs until now.
#[derive(Default)]
pub struct Pages(Mutex<Vec<(&'static str, Printed)>>);

impl Pages {
    /// Adds an output for a page.
    pub fn add(&self, page: &Page, tier: Tier, stdout: Vec<u8>) -> Result<()> {
        let text = String::from_utf8(stdout).context("it did not print text")?;
        let printed = Printed { tier, text };
        let checked = (page.check)(&printed);
        self.lock().push((page.name, printed));
        checked
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Printed)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the pages that have outputs. An incomplete page is printed instead, and its file stays
    /// unchanged.
    pub fn write(&self) -> Result<()> {
        let mut all = self.lock();
        for page in &PAGES {
            let of_page: Vec<_> = all.extract_if(.., |(name, _)| *name == page.name).collect();
            let printed: Vec<_> = of_page.into_iter().map(|(_, printed)| printed).collect();
            if !printed.is_empty() {
                page.keep(&printed)?;
            }
        }
        Ok(())
    }
}

impl Page {
    /// The places where its content is printed.
    pub fn places(&self) -> impl Iterator<Item = (KernelVersion, Tier)> + use<> {
        let tier = self.tier;
        let kernels = std::iter::once(MAIN_KERNEL).chain(OTHER_KERNELS);
        let all = kernels.flat_map(|kernel| TIERS.into_iter().map(move |tier| (kernel, tier)));
        all.filter(move |place| tier.is_none_or(|tier| *place == (MAIN_KERNEL, tier)))
    }

    fn keep(&self, printed: &[Printed]) -> Result<()> {
        let text =
            (self.write)(printed).with_context(|| format!("{} cannot be made", self.file))?;
        let (there, wanted) = (printed.len(), self.places().count());
        if there < wanted {
            note(&format!("{} stays as it is, for this is {there} of {wanted}:", self.file));
            eprintln!("{text}");
            return Ok(());
        }
        let path = workspace().join(self.file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        note(&format!("{} is written", self.file));
        Ok(())
    }
}

/// A Markdown table whose first column has names.
fn table(headings: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(headings.len() - 1));
    let rows: String = rows.map(|row| line(&row)).collect();
    line(headings) + &rule + &rows
}
