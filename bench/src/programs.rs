//! The run time of a tracer's BPF programs, by the kernel's own count. It is less noisy than the server's
//! CPU time, but leaves out the way to a program: the tracepoint, the perf event.

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

/// The run time of all programs except `others`, while it was counted.
pub fn time_without(others: &BTreeSet<u32>) -> Result<Duration> {
    Ok(all()?.iter().filter(|info| !others.contains(&info.id())).map(ProgramInfo::run_time).sum())
}

/// Has the kernel count the run time until the descriptor is closed. That takes time itself: the clock is
/// read twice for each run.
pub fn count_time() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("the kernel does not count the time of BPF programs")
}

fn all() -> Result<Vec<ProgramInfo>> {
    loaded_programs().collect::<Result<_, _>>().context("cannot list the kernel’s BPF programs")
}
