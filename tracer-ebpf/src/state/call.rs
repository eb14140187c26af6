//! The data call that each thread is in. Everything that happens during the call belongs to it.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::HashMap};
use tracer_common::{Flow, ON_DEMAND, Task};

use super::{
    clock::StopWatch,
    counters,
    entry::{Entries as _, Entry},
    tasks::task_in_window,
};
use crate::kernel::{layout, read};

/// A thread's current data call.
#[derive(Clone, Copy)]
pub struct Current {
    /// 0 of a call that has ended: the entry stays for the next one.
    pub under_way: u64,
    pub flow: Flow,
    /// The number of the system call.
    pub number: u32,
    /// See [`call`].
    pub kind: u32,
    /// The buffer of a reading call, or 0; of a call that maps received pages, its argument.
    pub buffer: u64,
    pub watch: StopWatch,
}

/// The data call of each thread, by its id: the current one, or the last one.
#[map]
static CURRENT: HashMap<u32, Current> = HashMap::with_max_entries(1, ON_DEMAND);

/// The data call that the current thread is in. Only the thread writes to it.
#[inline(always)]
pub fn under_way() -> Option<Entry<Current>> {
    call_of(current_thread())
}

#[inline(always)]
fn call_of(thread: u32) -> Option<Entry<Current>> {
    CURRENT.entry(&thread).filter(|call| call.under_way != 0)
}

#[inline(always)]
fn current_thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The current thread leaves its CPU during `call`.
#[inline(always)]
pub fn pause(mut call: Entry<Current>) {
    // Only the CPU of its thread uses it.
    call.watch.pause();
}

/// A `struct task_struct` comes to this CPU.
#[inline(always)]
pub fn resume(task: u64) {
    let thread = read(task, layout!(task_pid)).unwrap_or(0);
    if let Some(mut call) = call_of(thread) {
        // The thread does not run yet.
        call.watch.resume();
    }
}

#[inline(always)]
pub fn begin(current: Current) -> Option<()> {
    let thread = current_thread();
    if let Some(mut entry) = CURRENT.entry(&thread) {
        // Only its thread writes to it.
        *entry = current;
    } else if CURRENT.insert(thread, current, 0).is_err() {
        counters::lost();
        return None;
    }
    Some(())
}

/// The current thread's call has ended.
#[inline(always)]
pub fn end(mut call: Entry<Current>) {
    // Only its thread writes to it.
    call.under_way = 0;
}

/// Forgets the current thread.
#[inline(always)]
pub fn forget_thread() {
    // There is no entry if the thread made no data call.
    let _ = CURRENT.remove(current_thread());
}

/// The flow of the current thread's data call; outside one, a flow of its process alone.
#[inline(always)]
pub fn flow_of(task: Entry<Task>) -> Flow {
    flow_in(task, under_way())
}

/// As [`flow_of`], for a known call.
#[inline(always)]
pub fn flow_in(task: Entry<Task>, call: Option<Entry<Current>>) -> Flow {
    call.map_or(Flow { process: task.process, ..Flow::NONE }, |call| call.flow)
}

/// As [`flow_of`], for the current process, if its window is open.
#[inline(always)]
pub fn current_flow() -> Option<Flow> {
    task_in_window().map(flow_of)
}
