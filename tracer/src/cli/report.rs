//! `copytrace report`: renders a recording again, in any format and on any machine.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail, ensure};
use tracer_ledger::{
    expect::of_flows,
    flows::Detail,
    report::flows::{Format, Recording, Report, write},
};

use super::{
    expect::{Expect, conclude},
    output::{Destination, Outputs, print_to_all},
    rows::Rows,
};

/// Arguments of `copytrace report`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Recording of `--record`; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    outputs: Outputs<Format>,
    #[command(flatten)]
    expect: Expect,
}

/// Runs the verb.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let formats = options.outputs.formats();
    let read = options.expect.files().chain(std::iter::once(options.file.as_path()));
    options.outputs.check("report", read.filter(|path| *path != "-"));
    options.rows.check("report", &formats);
    let outputs = options.outputs.open(Destination::Stdout)?;
    outputs.iter().try_for_each(|output| output.destination.check(output.format))?;
    let recording = load(&options.file)?;
    if formats.iter().any(|format| format.is_of_stacks()) && recording.stacks.is_none() {
        bail!(
            "{} has no stacks: it was recorded without --stacks, so record again with it",
            options.file.display()
        );
    }
    if ![Detail::Process, recording.detail].contains(&options.rows.per().detail()) {
        bail!(
            "{} cannot be shown that fine: record again with the same --per",
            options.file.display()
        );
    }
    let expectations = of_flows(&options.expect.rules(), &recording);
    let report = Report { expectations, ..Report::of(&recording, options.rows.view()) };
    print_to_all(outputs, |format, style, out| write(format, &report, style, out))?;
    Ok(conclude(&report.expectations, false))
}

/// More bytes than copytrace ever writes: it keeps at most 100,000 flows.
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
