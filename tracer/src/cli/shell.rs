//! `copytrace completions` and `copytrace man`: made from the same arguments that are parsed.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;

use super::{manual, output::Destination};

/// Arguments of `copytrace completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionOptions {
    /// Shell to print completions for
    shell: clap_complete::Shell,
}

/// Arguments of `copytrace man`.
#[derive(Debug, clap::Args)]
pub struct ManOptions {
    /// Folder for the pages, one per verb; created if missing
    folder: PathBuf,
}

/// Prints completions for a shell.
pub fn completions<C: CommandFactory>(options: &CompletionOptions) -> anyhow::Result<ExitCode> {
    Destination::Stdout.print(|_, out| {
        // Into memory: it panics where it cannot write.
        let mut completions = Vec::new();
        clap_complete::generate(options.shell, &mut C::command(), "copytrace", &mut completions);
        out.write_all(&completions)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages.
pub fn man<C: CommandFactory>(options: &ManOptions) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&options.folder)
        .and_then(|()| manual::write(C::command(), &options.folder))
        .with_context(|| format!("cannot write manual pages to {}", options.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
