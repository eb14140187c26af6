//! How long a tracer's BPF programs ran, by the kernel's own count. It is less noisy than what the
//! server needs altogether, but leaves out what leads to a program: the tracepoint, the perf event.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::{ProgramInfo, loaded_programs};
use aya::sys::{Stats, enable_stats};

/// The ids of all programs in the kernel.
pub fn loaded() -> Result<BTreeSet<u32>> {
    Ok(all()?.iter().map(ProgramInfo::id).collect())
}

/// How long all programs but some ran altogether while their time was counted.
pub fn time_without(others: &BTreeSet<u32>) -> Result<Duration> {
    Ok(all()?.iter().filter(|info| !others.contains(&info.id())).map(ProgramInfo::run_time).sum())
}

/// Has the kernel count the time until the descriptor is closed. That takes time itself: two looks
/// at the clock for each run.
pub fn count_time() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("the kernel does not count the time of BPF programs")
}

fn all() -> Result<Vec<ProgramInfo>> {
    loaded_programs().collect::<Result<_, _>>().context("cannot list the kernel’s BPF programs")
}
