//! Pages of the documentation that are generated from a command's output on each kernel, in each tier:
//! `cargo xtask test --write-docs`. The output is checked as well, and is on the page either way.

pub mod block;
mod example;
mod matrix;
pub mod nginx;
pub mod screen;
pub mod second_machine;
mod series;
mod verifier;

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use xtask::KernelVersion;
use xtask::cargo::workspace;
use xtask::say::note;

use crate::check::{Context as Checked, Tier};
use crate::table::{MAIN_KERNEL, OTHER_KERNELS};

/// A page.
pub struct Page {
    /// The name of its trial. Not the name of a check.
    pub name: &'static str,
    /// Its file.
    file: &'static str,
    /// Who prints it.
    source: Source,
    /// The tier, on the usual kernel, that it is printed in; every one on every kernel if none.
    tier: Option<Tier>,
    /// Checks an output.
    check: fn(&Printed) -> Result<()>,
    /// Makes the page from all outputs.
    write: fn(&[Printed]) -> Result<String>,
}

/// Who prints what a page shows.
enum Source {
    /// copytrace, with these arguments and a tier.
    Copytrace(&'static [&'static str]),
    /// This program, which starts others besides.
    Tests(&'static Printer),
}

/// A part of this program that prints.
pub struct Printer {
    /// Its name on the command line.
    name: &'static str,
    /// It prints this.
    print: fn(&Checked) -> Result<String>,
}

/// All of them.
static PRINTERS: [&Printer; 2] = [&nginx::PRINTER, &second_machine::PRINTER];

/// Prints what the printer of that name has. `context`: as JSON.
pub fn print(name: &str, context: &str) -> Result<()> {
    let mut printers = PRINTERS.iter();
    let printer = printers.find(|it| it.name == name).context("there is no such printer")?;
    let text = (printer.print)(&serde_json::from_str(context)?)?;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// All pages.
pub static PAGES: [Page; 9] = [
    matrix::PAGE,
    verifier::PAGE,
    screen::DEMO,
    screen::CLASS,
    screen::PICTURE,
    example::PAGE,
    nginx::README,
    nginx::ANY_PROGRAM,
    second_machine::PAGE,
];

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

impl Source {
    fn command(&self, context: &Checked) -> Result<Vec<OsString>> {
        Ok(match self {
            Self::Copytrace(arguments) => {
                let in_tier = ["--tier", context.tier.name()];
                let arguments = arguments.iter().chain(&in_tier).map(OsString::from);
                // A terminal has these columns at least.
                let program = ["env".into(), "COLUMNS=80".into(), context.copytrace.clone().into()];
                program.into_iter().chain(arguments).collect()
            }
            Self::Tests(printer) => {
                let tests = context.tests.clone().into();
                vec![
                    tests,
                    "print".into(),
                    printer.name.into(),
                    serde_json::to_string(context)?.into(),
                ]
            }
        })
    }
}

impl Page {
    /// The command that prints it in the context's tier.
    pub fn command(&self, context: &Checked) -> Result<Vec<OsString>> {
        self.source.command(context)
    }

    /// Where it is printed.
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
