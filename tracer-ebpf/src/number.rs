//! The numbers that users know processes and threads by. In a PID namespace they are not the kernel's,
//! which are those of the first namespace.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::seq_file,
    helpers::{bpf_get_current_task, bpf_seq_write},
};
use tracer_common::Numbered;

use crate::kernel::{layout, load, option, read};

/// `PIDTYPE_TGID` of `enum pid_type`.
const PROCESS: u32 = 1;

/// How deep PID namespaces can lie (`MAX_PID_NS_LEVEL`).
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

/// The number of the process that a `struct task_struct` is a thread of; nothing if it has none where
/// the user is.
#[inline(always)]
pub fn of_process(task: u64) -> Option<u32> {
    if option!(namespace) == 0 {
        return read(task, layout!(task_tgid));
    }
    let signal: u64 = read(task, layout!(task_signal))?;
    let pids = layout!(signal_pids) + PROCESS * size_of::<u64>() as u32;
    in_namespace(read(signal, pids)?)
}

/// What a `struct pid` is called in the user's namespace. A process has a number in its own namespace,
/// and in each above.
#[inline(always)]
fn in_namespace(pid: u64) -> Option<u32> {
    match search(pid) {
        0 => None,
        number => Some(number),
    }
}

/// A function of its own, for its loop: functions return one number, and 0 is no process's.
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

/// What an iterator over tasks is given: `struct bpf_iter__task`.
#[repr(C)]
struct Context {
    /// `struct bpf_iter_meta`, which begins with a pointer to the `seq_file`.
    meta: *const u8,
    /// Null at the end.
    task: *const u8,
}

/// Writes a [`Numbered`] for each process in the namespace of who reads.
///
/// # Safety
/// The kernel calls it.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn processes(context: *const c_void) -> i32 {
    // SAFETY: it is a context, as the section says, and the verifier knows its fields.
    let Context { meta, task } = unsafe { context.cast::<Context>().read_volatile() };
    if task.is_null() {
        return 0;
    }
    // SAFETY: the verifier knows the types of both.
    let (file, kernel, thread): (*mut seq_file, u32, u32) =
        unsafe { (load(meta, 0), load(task, layout!(task_tgid)), load(task, layout!(task_pid))) };
    if kernel == thread
        && let Some(here) = of_process(task as u64)
    {
        let numbered = Numbered { here, kernel };
        let length = size_of::<Numbered>() as u32;
        // SAFETY: it is as long as said.
        unsafe { bpf_seq_write(file, (&raw const numbered).cast(), length) };
    }
    0
}
