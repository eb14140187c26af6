//! `copytrace diff`: compares two recordings, such as from before and after turning sendfile on.

use std::{path::PathBuf, process::ExitCode};

use tracer_ledger::{
    flows::group::Per,
    report::{
        Format,
        flows::{
            Report,
            diff::{Diff, write},
        },
    },
};

use super::{
    output::{Destination, Outputs, print_to_all},
    report::load,
};

/// Arguments of `copytrace diff`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// First recording of `--record`
    before: PathBuf,
    /// Second recording
    after: PathBuf,
    #[command(flatten)]
    outputs: Outputs<Format>,
}

/// Runs the verb.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    options.outputs.check("diff", [options.before.as_path(), &options.after]);
    let outputs = options.outputs.open(Destination::Stdout)?;
    let report = |path| load(path).map(|recording| Report::new(&recording, Per::Kind));
    let diff = Diff::new(&report(&options.before)?, &report(&options.after)?);
    print_to_all(outputs, |format, style, out| write(format, &diff, style, out))?;
    Ok(ExitCode::SUCCESS)
}
