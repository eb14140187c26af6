//! `copytrace report`: renders a recording again, in any format and on any machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use tracer::{
    flows::{Detail, group::Per},
    report::flows::{Format, Recording, Report, write},
};

use super::output::Destination;

/// Arguments of `copytrace report`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What `--record` wrote
    file: PathBuf,
    /// What tells the rows of the report apart
    #[arg(long, value_enum, default_value = "path")]
    per: Per,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    format: Format,
    /// Write the result to a file instead of standard output (`-`)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut destination = Destination::of(options.output.as_deref(), Destination::Stdout)?;
    destination.check(options.format)?;
    let recording = load(&options.file)?;
    if options.format.is_of_stacks() && recording.stacks.is_none() {
        bail!(
            "{} has no stacks: it was recorded without --stacks, so record again with it",
            options.file.display()
        );
    }
    if ![Detail::Process, recording.detail].contains(&options.per.detail()) {
        bail!(
            "{} cannot be shown that fine: record again with the same --per",
            options.file.display()
        );
    }
    let report = Report::new(&recording, options.per);
    destination.print(|style, out| write(options.format, &report, style, out))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a recording.
pub fn load(path: &Path) -> anyhow::Result<Recording> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Recording::parse(&text).map_err(|error| anyhow!("cannot use {}: {error}", path.display()))
}
