//! The measurement itself, as root, on the kernel that is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::case::{Case, Setup};
use super::load::Strength;
use super::rounds::Bench;
use super::situation::Situation;
use super::tools::{NGINX, WRK};
use super::{Format, Options, report};
use xtask::build_step::{self, Profile};
use xtask::cache::Cache;
use xtask::signals;

/// Where the kernel's trace events are described.
const TRACING: &str = "/sys/kernel/tracing";

/// Runs the measurement and prints its result.
pub fn main(options: &Options) -> Result<u8> {
    let _held = signals::hold();
    see_events().context("perf and bpftrace need the file system tracefs")?;
    let cache = Cache::locate()?;
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    // One half of the CPUs serves, the other half makes requests.
    let workers = (cpus / 2).max(1);
    let strength = Strength {
        threads: (cpus - workers).max(1),
        connections: options.connections,
        seconds: options.seconds,
    };
    let environment = report::Environment::look(&cache, cpus, workers);
    let mut bench = Bench {
        nginx: NGINX.find(&cache)?,
        wrk: WRK.find(&cache)?,
        setup: Setup { cache, tier: options.tier, symbols: symbols()? },
        workers,
        strength,
        cases: cases(&options.cases),
        refused: Default::default(),
    };
    let situations = match options.situations.as_slice() {
        [] => Situation::value_variants(),
        some => some,
    };
    let measured = bench.run(situations, options.rounds)?;
    let document = report::Document::new(environment, options, &bench, &measured);
    match options.format {
        Format::Table => print!("{}", report::table(&document)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&document)?),
    }
    Ok(0)
}

/// The untraced case first: all ratios are to it.
fn cases(only: &[Case]) -> Vec<Case> {
    let chosen = if only.is_empty() { Case::value_variants() } else { only };
    std::iter::once(Case::Untraced).chain(chosen.iter().copied()).collect()
}

/// Mounts tracefs if it is not, for this process and its children only: perf would, for all.
fn see_events() -> Result<()> {
    if Path::new(TRACING).join("events").exists() {
        return Ok(());
    }
    // SAFETY: only mounts are unshared, and no thread relies on them.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .context("cannot have mounts of its own")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot keep mounts to itself")?;
    mount("tracefs", TRACING, "tracefs", MountFlags::empty(), None)
        .with_context(|| format!("cannot mount tracefs on {TRACING}"))
}

/// The kernel's symbols, if copytrace can probe its functions.
fn symbols() -> Result<Option<String>> {
    let mut doctor = Command::new(build_step::programs(Profile::Release).join("copytrace"));
    let output = doctor.args(["doctor", "--function-probes"]).output();
    let probes = output.context("cannot start copytrace: build it first")?.status.success();
    Ok(if probes { Some(std::fs::read_to_string("/proc/kallsyms")?) } else { None })
}
