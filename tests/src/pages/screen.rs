//! What README shows of the first screen, as text and as a picture.

use anstyle_svg::Term;
use anyhow::{Context as _, Result};

use super::block::{self, Block};
use super::{Page, Printed, Source};
use crate::check::Tier;

/// The arguments that print the answer and the table of the textbook.
pub const TEXTBOOK: &[&str] = &["demo"];

/// And those that a class measures.
pub const LESSON: &[&str] = &[
    "demo",
    "--to",
    "loopback",
    "--cache",
    "warm",
    "--rounds",
    "0",
    "-s",
    "read-write",
    "-s",
    "splice",
    "-s",
    "msg-zerocopy",
];

pub const TEXTBOOK_BLOCK: Block =
    Block { file: "README.md", name: "textbook", cut: answer_and_table, mask: without_version };

/// A strategy makes calls as often as it takes, which is told with three digits after the point.
pub const LESSON_BLOCK: Block = Block {
    file: "README.md",
    name: "lesson",
    cut: answer_and_table,
    mask: |text| without_luck(&without_version(text)),
};

pub const DEMO: Page = Page {
    name: "matrix: the first screen in README",
    file: "README.md",
    source: Source::Copytrace(TEXTBOOK),
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| TEXTBOOK_BLOCK.insert(&block::read("README.md")?, &only(all)?.text),
};

pub const CLASS: Page = Page {
    name: "matrix: the lesson in README",
    file: "README.md",
    source: Source::Copytrace(LESSON),
    tier: Some(Tier::Tracepoint),
    check: |_| Ok(()),
    write: |all| LESSON_BLOCK.insert(&block::read("README.md")?, &only(all)?.text),
};

pub const PICTURE: Page = Page {
    name: "matrix: the picture in README",
    file: "docs/demo.svg",
    source: Source::Copytrace(&["demo", "--color", "always"]),
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| Ok(Term::new().render_svg(&only(all)?.text)),
};

/// The one text that was printed for a page of one kernel and tier.
pub fn only(all: &[Printed]) -> Result<&Printed> {
    all.first().context("nothing was printed")
}

/// The first two sections, between empty lines.
fn answer_and_table(printed: &str) -> String {
    let sections = printed.split("\n\n").take(2);
    sections.collect::<Vec<_>>().join("\n\n").trim_end().to_owned() + "\n"
}

/// Without the kernel's version, which may break a line.
fn without_version(text: &str) -> String {
    let (answer, table) = text.split_once("\n\n").unwrap_or((text, ""));
    let answer: Vec<_> = answer.split_whitespace().collect();
    let mut words = answer.join(" ");
    if let Some(at) = words.find("(Linux ") {
        let end = words[at..].find(')').map_or(words.len(), |end| at + end);
        words.replace_range(at..end, "(Linux");
    }
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
        let (strict, lucky) = (TEXTBOOK_BLOCK.mask, LESSON_BLOCK.mask);
        assert_eq!(lucky(PRINTED), lucky(&other));
        assert_ne!(strict(PRINTED), strict(&other));
        for (true_, false_) in [("a  2", "a  3"), ("right", "wrong")] {
            assert_ne!(lucky(PRINTED), lucky(&PRINTED.replace(true_, false_)));
        }
    }

    #[test]
    fn the_legend_is_left_out() {
        assert_eq!(answer_and_table(PRINTED).lines().count(), 5);
    }
}
