//! Everything the other verbs need: found, or else fetched and built.

pub mod foreign;
pub mod guest;
pub mod linker;
pub mod toolchain;

use anyhow::{Result, bail};

use crate::KernelVersion;
use crate::cache::Cache;
use crate::say::note;

/// `cargo xtask setup`
#[derive(clap::Args)]
pub struct Arguments {}

/// Whether what is missing may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Install it.
    Given,
    /// `--no-setup`: say what to do instead.
    Withheld,
}

impl Consent {
    /// From the flag `--no-setup`.
    pub fn unless(no_setup: bool) -> Self {
        if no_setup { Self::Withheld } else { Self::Given }
    }

    /// Fails if installing is forbidden.
    pub fn ask(self, what: &str) -> Result<()> {
        if self == Self::Withheld {
            bail!(
                "{what} is missing, and --no-setup forbids installing it: run `cargo xtask setup`"
            );
        }
        Ok(())
    }
}

/// Sets up everything.
pub fn main(_: &Arguments) -> Result<()> {
    let cache = Cache::locate()?;
    note(&format!("everything fetched is kept in {}", cache.root().display()));
    let toolchain = toolchain::resolve(Consent::Given)?;
    note(&format!("toolchain for BPF: {}", toolchain.name()));
    let linker = linker::resolve(&cache, &toolchain, Consent::Given)?;
    note(&format!("bpf-linker: in {}", linker.display()));
    let tools = guest::tools(&cache, Consent::Given)?;
    note(&format!("QEMU: {}", tools.qemu.program.display()));
    for version in KernelVersion::OTHERS.into_iter().chain([KernelVersion::USUAL]) {
        let kernel = guest::kernel(&cache, version, Consent::Given)?;
        note(&format!("kernel {version}: {}", kernel.release));
    }
    guest::programs_for_tests(&cache, Consent::Given)?;
    note("ready");
    Ok(())
}
