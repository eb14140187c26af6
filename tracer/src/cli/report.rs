//! `copytrace report`: renders a recording again, in any format and on any machine.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail, ensure};
use tracer::{
    expect::of_flows,
    flows::{Detail, group::Per},
    report::flows::{Format, Recording, Report, write},
};

use super::{
    expect::{Expect, conclude},
    output::Destination,
    usage,
};

/// Arguments of `copytrace report`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What `--record` wrote; `-` is standard input
    file: PathBuf,
    /// What tells the rows of the report apart [default: path]
    #[arg(long, value_enum)]
    per: Option<Per>,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    format: Format,
    /// Write the result to a file instead of standard output (`-`)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    expect: Expect,
}

/// Runs the verb.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    usage::check_rows("report", options.per, options.format);
    let per = options.per.unwrap_or_default();
    let mut destination = Destination::of(options.output.as_deref(), Destination::Stdout)?;
    destination.check(options.format)?;
    let recording = load(&options.file)?;
    if options.format.is_of_stacks() && recording.stacks.is_none() {
        bail!(
            "{} has no stacks: it was recorded without --stacks, so record again with it",
            options.file.display()
        );
    }
    if ![Detail::Process, recording.detail].contains(&per.detail()) {
        bail!(
            "{} cannot be shown that fine: record again with the same --per",
            options.file.display()
        );
    }
    let expectations = of_flows(&options.expect.rules(), &recording);
    let report = Report { expectations, ..Report::new(&recording, per) };
    destination.print(|style, out| write(options.format, &report, style, out))?;
    Ok(conclude(&report.expectations, false))
}

/// More than copytrace ever writes, in bytes: it keeps 100,000 flows apart.
const LARGEST: u64 = 256 << 20;

/// Reads a recording; of standard input if its name is `-`.
pub fn load(path: &Path) -> anyhow::Result<Recording> {
    let mut text = Vec::new();
    let read = match path == "-" {
        true => io::stdin().lock().take(LARGEST + 1).read_to_end(&mut text),
        false => File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text)),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.len() as u64 <= LARGEST,
        "cannot use {}: it is larger than any recording of copytrace",
        path.display()
    );
    Recording::parse(&text).map_err(|error| anyhow!("cannot use {}: {error}", path.display()))
}
