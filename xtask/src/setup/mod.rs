//! Everything the other verbs need: found, or else fetched and built.

pub mod brokers;
pub mod foreign;
pub mod guest;
pub mod linker;
pub mod toolchain;

use anyhow::Result;

use crate::cache::Cache;
use crate::consent::Consent;
use crate::kernel_version::KernelVersion;
use crate::say::note;

/// `cargo xtask setup`
#[derive(clap::Args)]
pub struct Arguments {}

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
