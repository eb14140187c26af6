//! Options of every verb that runs bundled workloads.

use std::path::PathBuf;

use tracer::{
    session::{Breakpoints, Purpose, Session, SessionError},
    witness::Plan,
};

use super::nic::{Guard, Nic};
use crate::cli::{
    kernel::{Sites, TierChoice},
    usage,
};

/// The options of these verbs.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Turn the network card's scatter-gather off for the run, and on again after it
    #[arg(long, value_enum, default_value = "keep")]
    pub nic_sg: ScatterGather,
    #[command(flatten)]
    pub sites: Sites,
    /// Probe type to use
    #[arg(long, value_enum, default_value = "auto")]
    pub tier: TierChoice,
    /// Check every CPU copy against hardware breakpoints on the copy routines
    #[arg(long)]
    pub verify: bool,
    /// Create the files to send in this directory, on the disk to measure
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub dir: PathBuf,
}

impl Options {
    /// Refuses options without effect.
    pub fn check(&self, verb: &str) {
        usage::check_sites(verb, self.sites, self.tier);
    }

    /// Attaches to the kernel for windows of bundled workloads. `verbose`: its programs write to the log.
    pub fn session(&self, plan: Plan, verbose: bool) -> Result<Session, SessionError> {
        let breakpoints = Breakpoints::asked(self.verify, false);
        let mut session = Session::start(plan, Purpose::Windows, breakpoints)?;
        session.watch_user_copies(workloads::USER_COPY)?;
        if verbose {
            session.log()?;
        }
        Ok(session)
    }
}

/// The setting of the NIC's scatter-gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScatterGather {
    /// Do not change it
    Keep,
    /// Off for the run
    Off,
}

impl ScatterGather {
    /// Applies it, until the guard is dropped.
    pub fn apply(self, nic: &Nic) -> anyhow::Result<Option<Guard>> {
        match self {
            Self::Keep => Ok(None),
            Self::Off => nic.without_scatter_gather(),
        }
    }
}
