//! The numbers of processes and threads in the user's PID namespace. The kernel's own are those of the
//! first namespace.

use aya_ebpf::helpers::bpf_get_current_task;

use super::{layout, option, read};

/// `PIDTYPE_TGID` of `enum pid_type`.
const PROCESS: u32 = 1;

/// The greatest depth of PID namespaces (`MAX_PID_NS_LEVEL`).
const DEEPEST: u32 = 32;

/// The current process's number.
#[inline(always)]
pub fn of_current_process() -> Option<u32> {
    // SAFETY: the helper has no preconditions.
    of_process(unsafe { bpf_get_current_task() })
}

/// The current thread's number.
#[inline(always)]
pub fn of_current_thread() -> Option<u32> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    match option!(namespace) {
        0 => read(task, layout!(task_pid)),
        _ => in_namespace(read(task, layout!(task_thread_pid))?),
    }
}

/// The number of the process that a `struct task_struct` is a thread of; `None` if it has none in the
/// user's namespace.
#[inline(always)]
pub fn of_process(task: u64) -> Option<u32> {
    if option!(namespace) == 0 {
        return read(task, layout!(task_tgid));
    }
    let signal: u64 = read(task, layout!(task_signal))?;
    let pids = layout!(signal_pids) + PROCESS * size_of::<u64>() as u32;
    in_namespace(read(signal, pids)?)
}

/// The number of a `struct pid` in the user's PID namespace. A process has a number in its own namespace,
/// and in each above.
#[inline(always)]
fn in_namespace(pid: u64) -> Option<u32> {
    match search(pid) {
        0 => None,
        number => Some(number),
    }
}

/// A function of its own, because of its loop. Such functions return one number; 0 is no process's.
#[inline(never)]
fn search(pid: u64) -> u32 {
    let Some(level) = read::<u32>(pid, layout!(pid_level)) else { return 0 };
    let mut number = pid + u64::from(layout!(pid_numbers));
    for at in 0..=DEEPEST {
        if at > level {
            break;
        }
        let namespace = read::<u64>(number, layout!(number_namespace)).unwrap_or(0);
        if read(namespace, layout!(namespace_inode)) == Some(option!(namespace)) {
            return read(number, layout!(number_value)).unwrap_or(0);
        }
        number += u64::from(layout!(number_size));
    }
    0
}
