//! Known transfers, to check the attribution: each program logs the truth, and every byte count is
//! unique, so that a mix-up shows.
//!
//! The truth is a file of JSON lines, one for each flow of a process, with the names of a report.

mod churn;
mod connections;
mod descriptors;
mod dying;
mod kin;
mod strain;
mod truth;

use std::path::PathBuf;

/// The kinds of strain.
#[derive(Debug, clap::Subcommand)]
pub enum Soak {
    /// Processes that start and end as fast as this machine can
    Churn(churn::Args),
    /// Many connections at once, then many one after the other
    Connections(connections::Args),
    /// File descriptors that are a file, a pipe and a socket in turns, in two threads
    Descriptors(descriptors::Args),
    /// Children, threads, and a process that becomes another program while its threads are busy
    Kin(kin::Args),
    /// More objects than there is room for
    Strain(strain::Args),
    /// Reads until it is killed
    Dying(dying::Args),
}

/// Files of a scenario.
#[derive(Debug, clap::Args)]
struct Place {
    /// An empty folder for the files that are read and written
    #[arg(long)]
    folder: PathBuf,
    /// Where the truth goes
    #[arg(long)]
    truth: PathBuf,
}

impl Soak {
    /// Runs it.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Churn(args) => churn::run(args),
            Self::Connections(args) => connections::run(args),
            Self::Descriptors(args) => descriptors::run(args),
            Self::Kin(args) => kin::run(args),
            Self::Strain(args) => strain::run(args),
            Self::Dying(args) => dying::run(args),
        }
    }
}
