//! `--expect`: rules that are judged on the result, and an exit status that fails a build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use tracer_ledger::{
    expect::{Expectation, Rule},
    report::escape::plain,
};

use super::say;

/// The exit status if a rule is broken, and nothing else went wrong.
const BROKEN: u8 = 3;

/// Rules that must hold.
#[derive(Debug, clap::Args)]
pub struct Expect {
    /// Fail with status 3 unless this holds, such as 'nginx: file -> tcp: cpu <= 0.01'; may be repeated
    #[arg(long = "expect", value_name = "RULE")]
    rules: Vec<Rule>,
    /// Fail unless each rule in this file holds: one per line; lines that begin with # are comments
    #[arg(long = "expect-file", value_name = "FILE", value_parser = read)]
    files: Vec<RuleFile>,
}

/// The rules of a file.
#[derive(Clone, Debug)]
struct RuleFile {
    path: PathBuf,
    rules: Vec<Rule>,
}

impl Expect {
    /// The files that rules are in.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// All rules.
    pub fn rules(&self) -> Vec<Rule> {
        let of_files = self.files.iter().flat_map(|file| &file.rules);
        self.rules.iter().chain(of_files).cloned().collect()
    }
}

fn read(path: &str) -> Result<RuleFile, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
    Ok(RuleFile { path: path.into(), rules: parse(&text)? })
}

fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let rule = |(line, number): (&str, u32)| {
        line.parse().map_err(|mistake| format!("line {number}: {mistake}"))
    };
    let rules: Vec<Rule> = lines.map(rule).collect::<Result<_, _>>()?;
    // An empty file of rules is an error: the build would check nothing.
    if rules.is_empty() { Err("there is no rule in it".to_owned()) } else { Ok(rules) }
}

/// Prints the broken rules and, unless `quiet`, the number of those that hold; returns the exit status.
pub fn conclude(expectations: &[Expectation], quiet: bool) -> ExitCode {
    let broken = expectations.iter().filter_map(|it| Some((&it.rule, it.reason.as_ref()?)));
    for (rule, reason) in broken.clone() {
        say(&plain(&format!("copytrace: `{rule}` is broken: {reason}")));
    }
    let (all, broken) = (expectations.len(), broken.count());
    summary(all, broken).filter(|_| !quiet).iter().for_each(|text| say(text));
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

/// The number of rules that hold; none if it was printed already, or there is no rule.
fn summary(all: usize, broken: usize) -> Option<String> {
    match (all, broken) {
        (0, _) | (1, 1) => None,
        (1, 0) => Some("copytrace: the rule holds".to_owned()),
        (all, 0) => Some(format!("copytrace: all {all} rules hold")),
        (all, 1) => Some(format!("copytrace: 1 of {all} rules is broken")),
        (all, broken) => Some(format!("copytrace: {broken} of {all} rules are broken")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_rule_a_line_and_comments() {
        let rules = parse("# zero-copy\n\n  nginx: file -> tcp: cpu == 0\r\ndma < 2").unwrap();
        let rules: Vec<_> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(rules, ["nginx: file -> tcp: cpu == 0", "dma < 2"]);
    }

    #[test]
    fn a_mistake_in_a_file_has_its_line_and_no_rule_is_one() {
        let mistake = parse("cpu <= 1\n# and\ncpu <= x").unwrap_err();
        assert!(
            mistake.starts_with("line 3: `x` is no number: give one such as 0.01\n"),
            "{mistake}"
        );
        assert_eq!(parse("# nothing\n").unwrap_err(), "there is no rule in it");
    }
}
