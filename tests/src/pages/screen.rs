//! README's first screen, as text and as a picture. `cargo xtask test` compares the text with the output.

use anstyle_svg::Term;
use anyhow::{Context as _, Result, ensure};

use super::{Page, Printed};
use crate::check::Tier;

const README: &str = include_str!("../../../README.md");

/// A block of README, and the command that prints it.
pub struct Screen {
    /// Its name in the comments before and after it.
    name: &'static str,
    /// The arguments of copytrace.
    pub arguments: &'static [&'static str],
    /// Whether a strategy's number of calls varies, which shows as three digits after the decimal point.
    has_luck: bool,
}

/// Sections shown in README, between empty lines: the answer, and the table.
const SECTIONS: usize = 2;

/// The answer and the table of the textbook.
pub const TEXTBOOK: Screen = Screen { name: "textbook", arguments: &["demo"], has_luck: false };

/// The measurement for a class.
pub const LESSON: Screen = Screen {
    name: "lesson",
    arguments: &[
        "demo",
        "--to",
        "loopback",
        "--cache",
        "warm",
        "-s",
        "read-write",
        "-s",
        "splice",
        "-s",
        "msg-zerocopy",
    ],
    has_luck: true,
};

pub const DEMO: Page = Page {
    name: "matrix: the first screen in README",
    file: "README.md",
    arguments: TEXTBOOK.arguments,
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| TEXTBOOK.insert(all),
};

pub const CLASS: Page = Page {
    name: "matrix: the lesson in README",
    file: "README.md",
    arguments: LESSON.arguments,
    tier: Some(Tier::Tracepoint),
    check: |_| Ok(()),
    write: |all| LESSON.insert(all),
};

pub const PICTURE: Page = Page {
    name: "matrix: the picture in README",
    file: "docs/demo.svg",
    arguments: &["demo", "--color", "always"],
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| Ok(Term::new().render_svg(&only(all)?.text)),
};

fn only(all: &[Printed]) -> Result<&Printed> {
    all.first().context("nothing was printed")
}

impl Screen {
    /// Fails if README differs from the output.
    pub fn compare(&self, printed: &str) -> Result<()> {
        let masked = |text: &str| masked(text, self.has_luck);
        let (shown, printed) = (masked(self.find(README)?.1), masked(&self.cut(printed)));
        ensure!(
            shown == printed,
            "README shows something else: `cargo xtask test --write-docs README` writes it anew. \
             Shown:\n{shown}\nprinted:\n{printed}"
        );
        Ok(())
    }

    fn insert(&self, all: &[Printed]) -> Result<String> {
        let path = xtask::cargo::workspace().join("README.md");
        let readme = std::fs::read_to_string(path)?;
        let (before, _, after) = self.find(&readme)?;
        Ok(format!("{before}{}{after}", self.cut(&only(all)?.text)))
    }

    /// The text before the block, the block, and the text after it.
    fn find<'a>(&self, readme: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        let begin = format!("<!-- {} -->\n```\n", self.name);
        let at = readme.find(&begin).with_context(|| format!("README has no {begin}"))?;
        let (before, rest) = readme.split_at(at + begin.len());
        let end = rest.find("```").context("the block has no end")?;
        Ok((before, &rest[..end], &rest[end..]))
    }

    fn cut(&self, printed: &str) -> String {
        let sections = printed.split("\n\n").take(SECTIONS);
        sections.collect::<Vec<_>>().join("\n\n").trim_end().to_owned() + "\n"
    }
}

/// Without the kernel's version, which may break a line, and without varying numbers.
fn masked(text: &str, has_luck: bool) -> String {
    let (answer, table) = text.split_once("\n\n").unwrap_or((text, ""));
    let answer: Vec<_> = answer.split_whitespace().collect();
    let mut words = answer.join(" ");
    if let Some(at) = words.find("(Linux ") {
        let end = words[at..].find(')').map_or(words.len(), |end| at + end);
        words.replace_range(at..end, "(Linux");
    }
    let table = if has_luck { without_luck(table) } else { table.to_owned() };
    format!("{words}\n\n{table}")
}

fn without_luck(table: &str) -> String {
    let mask = |word: &str| match word.split_once('.') {
        Some((_, decimals)) if decimals.len() == 3 && word.parse::<f64>().is_ok() => {
            "#".repeat(word.len())
        }
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(mask).collect::<Vec<_>>().join(" ");
    table.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = " It is right (Linux\n 6.12.1).\n\n a  2\n b  1.004\n\n Legend\n";

    #[test]
    fn only_versions_and_luck_are_masked() {
        let other = PRINTED.replace("Linux\n 6.12.1", "Linux 6.1").replace("1.004", "1.125");
        assert_eq!(masked(PRINTED, true), masked(&other, true));
        assert_ne!(masked(PRINTED, false), masked(&other, false));
        for (true_, false_) in [("a  2", "a  3"), ("right", "wrong")] {
            let wrong = PRINTED.replace(true_, false_);
            assert_ne!(masked(PRINTED, true), masked(&wrong, true));
        }
    }

    #[test]
    fn a_block_is_replaced() {
        let readme = "x\n<!-- textbook -->\n```\nold\n```\ny\n";
        let (before, block, after) = TEXTBOOK.find(readme).unwrap();
        assert_eq!((block, after), ("old\n", "```\ny\n"));
        assert_eq!(before, "x\n<!-- textbook -->\n```\n");
        assert_eq!(TEXTBOOK.cut(PRINTED).lines().count(), 5);
    }

    #[test]
    fn readme_has_each() {
        for screen in [&TEXTBOOK, &LESSON] {
            screen.find(README).unwrap();
        }
    }
}
