//! What README and docs/any-program.md show of nginx, traced in three configurations.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use xtask::command;

use super::block::{self, Block};
use super::screen::only;
use super::{Page, Printed, Printer, Source};
use crate::check::{Context, Tier};
use crate::support::nginx::{self, Site};
use crate::support::traced::end;

/// By the name of its block, what is printed.
type Screens = BTreeMap<String, String>;

/// The folder that is served, the file in it, and its length in bytes.
const FOLDER: &str = "/srv/www";
const FILE: &str = "big";
const BYTES: u64 = 16 << 20;

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8090);

/// Name of a block and a recording, nginx's settings, and whether it encrypts.
const CONFIGURATIONS: [(&str, &str, bool); 3] = [
    ("nginx-on", "sendfile on;", false),
    ("nginx-off", "sendfile off;", false),
    ("nginx-tls", "sendfile on;", true),
];

/// A rule that nginx breaks with `sendfile off`.
const RULE: &str = "nginx: file -> tcp: cpu <= 0.01";

/// Prints [`Screens`] as JSON.
pub static PRINTER: Printer =
    Printer { name: "nginx", print: |context| Ok(serde_json::to_string(&print(context)?)?) };

const fn shown(file: &'static str, name: &'static str, cut: fn(&str) -> String) -> Block {
    Block { file, name, cut, mask: masked }
}

const IN_README: [Block; 3] = [
    shown("README.md", "nginx-off", |text| answer_and_rows(text, 1)),
    shown("README.md", "nginx-diff", |text| sections(text, 1)),
    shown("README.md", "nginx-rule", str::to_owned),
];

const IN_ANY_PROGRAM: [Block; 4] = [
    shown("docs/any-program.md", "nginx-on", |text| answer_and_rows(text, 1)),
    shown("docs/any-program.md", "nginx-off", |text| answer_and_rows(text, 1)),
    shown("docs/any-program.md", "nginx-tls", |text| answer_and_rows(text, 2)),
    shown("docs/any-program.md", "nginx-diff", |text| sections(text, 2)),
];

pub const README: Page =
    page("matrix: nginx in README", "README.md", |all| insert(&IN_README, all));

pub const ANY_PROGRAM: Page =
    page("matrix: nginx in any-program.md", "docs/any-program.md", |all| {
        insert(&IN_ANY_PROGRAM, all)
    });

const fn page(
    name: &'static str,
    file: &'static str,
    write: fn(&[Printed]) -> Result<String>,
) -> Page {
    let tier = Some(Tier::Fentry);
    Page { name, file, source: Source::Tests(&PRINTER), tier, check: |_| Ok(()), write }
}

fn insert(blocks: &[Block], all: &[Printed]) -> Result<String> {
    let screens: Screens = serde_json::from_str(&only(all)?.text)?;
    let document = block::read(blocks[0].file)?;
    blocks.iter().try_fold(document, |text, block| block.insert(&text, find(&screens, block)?))
}

fn find<'a>(screens: &'a Screens, block: &Block) -> Result<&'a str> {
    screens.get(block.name).map(String::as_str).with_context(|| format!("no {}", block.name))
}

/// Fails if a document shows something else than what is printed now.
pub fn compare(context: &Context) -> Result<()> {
    let screens = print(context)?;
    let documents =
        [include_str!("../../../README.md"), include_str!("../../../docs/any-program.md")];
    let blocks: [&[Block]; 2] = [&IN_README, &IN_ANY_PROGRAM];
    let all = documents
        .iter()
        .zip(blocks)
        .flat_map(|(document, blocks)| blocks.iter().map(move |block| (document, block)));
    all.into_iter()
        .try_for_each(|(document, block)| block.compare(document, find(&screens, block)?))
}

/// Traces nginx in each configuration, in a guest, whose files are nobody else's.
fn print(context: &Context) -> Result<Screens> {
    let folder = Path::new(FOLDER);
    std::fs::create_dir_all(folder)?;
    let mut random = File::open("/dev/urandom")?.take(BYTES);
    std::io::copy(&mut random, &mut File::create(folder.join(FILE))?)?;
    let printed = screens(context, folder);
    std::fs::remove_dir_all(folder)?;
    printed
}

fn screens(context: &Context, folder: &Path) -> Result<Screens> {
    let recordings = tempfile::tempdir()?;
    let recording = |name: &str| recordings.path().join(name);
    let mut screens = Screens::new();
    for (name, options, tls) in CONFIGURATIONS {
        let site = Site { folder, address: ADDRESS.into(), options, tls };
        record(context, &site, &recording(name))?;
        let report = command::stdout(copytrace(context, "report").arg(recording(name)))?;
        screens.insert(name.to_owned(), report);
    }
    let (off, on) = (recording("nginx-off"), recording("nginx-on"));
    let diff = command::stdout(copytrace(context, "diff").arg(&off).arg(on))?;
    screens.insert("nginx-diff".to_owned(), diff);
    let judged = copytrace(context, "report").args(["--expect", RULE]).arg(off).output()?;
    screens.insert("nginx-rule".to_owned(), String::from_utf8(judged.stderr)?);
    Ok(screens)
}

/// copytrace on a terminal of 80 columns.
fn copytrace(context: &Context, verb: &str) -> Command {
    let mut command = Command::new(&context.copytrace);
    command.arg(verb).env("COLUMNS", "80");
    command
}

/// Records nginx while it serves the file once.
fn record(context: &Context, site: &Site<'_>, recording: &Path) -> Result<()> {
    site.prepare()?;
    let mut traced = copytrace(context, "run");
    traced.args(["--quiet", "--tier", context.tier.name(), "--output", "/dev/null", "--record"]);
    traced.arg(recording).arg("--").arg(nginx::program(context));
    site.add_arguments(context, &mut traced);
    let mut server = traced.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let fetched = site.fetch(&[FILE], &mut server);
    end(&mut server)?;
    fetched
}

/// So many sections, of those between empty lines.
fn sections(text: &str, count: usize) -> String {
    text.split("\n\n").take(count).collect::<Vec<_>>().join("\n\n").trim_end().to_owned() + "\n"
}

/// The answer, the head of the table, and so many of its rows, each with its verdict.
fn answer_and_rows(text: &str, rows: usize) -> String {
    let Some((answer, rest)) = text.split_once("\n\n") else { return text.to_owned() };
    let mut begun = 0;
    let is_shown = |line: &&str| {
        begun += usize::from(line.trim_start().split(' ').nth(1) == Some("%"));
        begun <= rows && !line.is_empty()
    };
    let table: Vec<_> = rest.lines().take_while(is_shown).collect();
    format!("{answer}\n\n{}\n", table.join("\n"))
}

/// Without times, sizes of a few KiB, which are heads of answers, and numbers of calls, which depend on when
/// the socket has room. Numbers of copies have a point, and their units behind them in sentences.
fn masked(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(['(', ')', '.', ',', ':']).to_owned();
    let unit = |at: usize| words.get(at + 1).map(|word| bare(word)).unwrap_or_default();
    let differs = |at: usize| match unit(at).as_str() {
        "s" | "KiB" => bare(words[at]).parse::<f64>().is_ok(),
        "CPU" | "MiB" | "%" => false,
        _ => bare(words[at]).parse::<u64>().is_ok(),
    };
    let word = |at: usize| if differs(at) { "#" } else { words[at] };
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = " nginx delivered 64 MiB in 1.26 s:\n 24.9 KiB copied.\n\n share  flow\n ────\n \
                           99.9 %  128  a\n     zero-copy\n  0.1 %  b\n     small\n\n more\n";

    #[test]
    fn rows_come_with_their_verdicts() {
        let one = answer_and_rows(PRINTED, 1);
        assert!(one.ends_with("\n 99.9 %  128  a\n     zero-copy\n"), "{one}");
        assert!(answer_and_rows(PRINTED, 2).ends_with("\n  0.1 %  b\n     small\n"));
    }

    #[test]
    fn only_times_and_small_sizes_are_masked() {
        let other = PRINTED.replace("1.26", "3.5").replace("24.9 KiB copied", "25.1 KiB\n copied");
        assert_eq!(masked(PRINTED), masked(&other.replace("128  a", "98  a")));
        for (true_, false_) in [
            ("64 MiB", "65 MiB"),
            ("99.9 %", "98 %"),
            ("128  a", "1.2  a"),
            ("zero-copy", "copied"),
        ] {
            assert_ne!(masked(PRINTED), masked(&PRINTED.replace(true_, false_)));
        }
    }
}
