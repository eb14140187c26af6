//! Processes and threads, described once for userspace.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::map,
    maps::HashMap,
};
use tracer_common::{
    ON_DEMAND,
    flow::{Detail, TracedProcess},
};

use super::{counters, entry::Entries as _, object};
use crate::kernel::{number, option};

/// Processes that userspace has not read yet, by their id in a flow.
#[map]
static PROCESSES: HashMap<u32, TracedProcess> = HashMap::with_max_entries(1, ON_DEMAND);

/// A thread of a process, when threads are told apart.
#[derive(Clone, Copy)]
struct Thread {
    process: u32,
    /// A key of `PROCESSES`.
    id: u32,
}

/// By the kernel's id of a thread.
#[map]
static THREADS: HashMap<u64, Thread> = HashMap::with_max_entries(1, ON_DEMAND);

/// The id that a call of the current thread is counted for: its process's, or its own if threads are told
/// apart.
#[inline(always)]
pub fn of_call(process: u32) -> u32 {
    if option!(detail) != Detail::THREADS {
        return process;
    }
    of_thread(process)
}

#[inline(never)]
fn of_thread(process: u32) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    match THREADS.entry(&thread) {
        // After `exec` it counts as another process.
        Some(known) if known.process == process => known.id,
        _ => new_thread(thread, process).unwrap_or_else(|| {
            counters::lost();
            process
        }),
    }
}

#[inline(always)]
fn new_thread(thread: u64, process: u32) -> Option<u32> {
    let id = object::new_id()?;
    let who = TracedProcess {
        pid: number::of_current_process()?,
        thread: number::of_current_thread()?,
        owner: process,
        name: bpf_get_current_comm().ok()?,
    };
    PROCESSES.insert(id, who, 0).ok()?;
    THREADS.insert(thread, Thread { process, id }, 0).ok()?;
    Some(id)
}

/// Describes a new process.
#[inline(always)]
pub fn insert(id: u32, pid: u32, name: [u8; 16]) -> Option<()> {
    PROCESSES.insert(id, TracedProcess { pid, thread: 0, owner: 0, name }, 0).ok()
}

/// Forgets the current thread, which has an entry only if threads are told apart.
#[inline(always)]
pub fn forget_thread() {
    let _ = THREADS.remove(bpf_get_current_pid_tgid());
}
