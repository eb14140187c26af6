//! `cargo xtask test`: builds what is to be tested, and starts the program that tests it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build_step::{self, BuildEnvironment, Profile};
use crate::consent::Consent;

/// `cargo xtask test`
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
    #[command(flatten)]
    selection: Selection,
}

/// The selection of checks, and how they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Selection {
    /// Test on every kernel, and with all repetitions
    #[arg(long)]
    pub all: bool,
    /// Also write the measured pages of docs/, on every kernel
    #[arg(long, conflicts_with_all = ["repeat", "list"])]
    pub write_docs: bool,
    /// Make each check this often, to find rare failures
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: Option<u32>,
    /// Match filters against the whole name of a check
    #[arg(long)]
    pub exact: bool,
    /// Print the names, and test nothing
    #[arg(long)]
    pub list: bool,
    /// Only checks whose names have any of these in them; without one, everything
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
}

impl Selection {
    /// Whether a name matches.
    pub fn wants(&self, name: &str) -> bool {
        let matches = |filter: &String| match self.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }

    /// The profile of the programs under test: that of an installation, when everything is tested.
    pub fn profile(&self) -> Profile {
        if self.all { Profile::Release } else { Profile::Dev }
    }

    /// The words that select the same.
    fn words(&self) -> Vec<OsString> {
        let flags = [
            ("--all", self.all),
            ("--write-docs", self.write_docs),
            ("--exact", self.exact),
            ("--list", self.list),
        ];
        let mut words: Vec<OsString> =
            flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()).collect();
        words.extend(self.repeat.map(|times| format!("--repeat={times}").into()));
        words.push("--".into());
        words.extend(self.filters.iter().map(OsString::from));
        words
    }
}

/// Builds, and becomes the program that tests: its output, its signals and its exit status are this
/// process's own.
pub fn main(arguments: &Arguments) -> Result<u8> {
    let Arguments { no_setup, selection } = arguments;
    if !selection.list {
        build_step::announce();
        build_step::build(
            &BuildEnvironment::prepare(Consent::unless(*no_setup))?,
            selection.profile(),
        )?;
    }
    let mut tests = Command::new(build_step::build_tests()?);
    tests.arg("run").args(no_setup.then_some("--no-setup")).args(selection.words());
    Err(tests.exec()).context("cannot start the program that tests")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        selection: Selection,
    }

    #[test]
    fn the_program_that_tests_is_given_the_same_selection() {
        let again = |given: &[&str]| {
            let selection = Line::parse_from(given).selection;
            let words = std::iter::once("x".into()).chain(selection.words());
            assert_eq!(Line::parse_from(words).selection, selection);
            selection
        };
        assert!(again(&["x", "--write-docs", "matrix"]).write_docs);
        let selection = again(&["x", "--all", "--exact", "--repeat", "20", "one", "--", "--list"]);
        assert_eq!(selection.filters, ["one", "--list"]);
        assert!(!selection.list);
    }

    #[test]
    fn a_filter_is_a_part_of_a_name_or_all_of_it() {
        let part = Selection { filters: vec!["nginx".to_owned()], ..Selection::default() };
        assert!(part.wants("6.12 fentry: nginx, TLS") && !part.wants("6.12 fentry: dd"));
        let whole = Selection { exact: true, ..part };
        assert!(whole.wants("nginx") && !whole.wants("6.12 fentry: nginx, TLS"));
        assert!(Selection::default().wants("anything"));
    }
}
