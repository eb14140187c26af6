//! `copytrace diff`: compares two recordings, such as from before and after turning sendfile on.

use std::{path::PathBuf, process::ExitCode};

use tracer::{
    flows::group::Per,
    report::flows::{
        Report,
        diff::{Diff, write_json, write_table},
    },
};

use super::{output::Destination, report::load};

/// Arguments of `copytrace diff`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What `--record` wrote first
    before: PathBuf,
    /// What it wrote then
    after: PathBuf,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    format: Form,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    /// A table for the terminal
    Table,
    /// One JSON document
    Json,
}

/// Runs the verb.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let report = |path| load(path).map(|recording| Report::new(&recording, Per::Kind));
    let diff = Diff::new(&report(&options.before)?, &report(&options.after)?);
    Destination::Stdout.print(|style, out| match options.format {
        Form::Table => write_table(&diff, style, out),
        Form::Json => write_json(&diff, out),
    })?;
    Ok(ExitCode::SUCCESS)
}
