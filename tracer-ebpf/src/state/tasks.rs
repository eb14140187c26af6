//! The traced processes.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::HashMap};
use tracer_common::{ON_DEMAND, Task, window};

use super::entry::{Entries as _, Entry};

/// Traced processes by thread group id.
#[map]
pub static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(1024, ON_DEMAND);

/// The current process by the kernel's number.
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The current process, if it is traced, whatever the state of its window.
#[inline(always)]
pub fn current_task() -> Option<Entry<Task>> {
    TASKS.entry(&current_tgid())
}

/// The current process, if it is traced and its window is open.
#[inline(always)]
pub fn task_in_window() -> Option<Entry<Task>> {
    current_task().filter(|task| task.window == window::OPEN)
}
