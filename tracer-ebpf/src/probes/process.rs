//! Traced processes: their children, `exec`, and their end.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, generated::bpf_get_current_ancestor_cgroup_id},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use tracer_common::{Task, stack::NEVER, window};

use crate::{
    kernel::{layout, number, option, option_field, read},
    state::{
        call, counters,
        entry::{Entries as _, Entry},
        module, object, process, reads,
        tasks::{TASKS, current_task, current_tgid},
    },
};

/// `sched_process_fork(parent, child)`: a child is traced if its parent is.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = current_task()
        && on_fork(task, ctx.arg(1)).is_none()
    {
        counters::lost();
    }
    0
}

#[inline(always)]
fn on_fork(parent: Entry<Task>, child: u64) -> Option<()> {
    let tgid: u32 = read(child, layout!(task_tgid))?;
    if tgid == current_tgid() {
        // A thread.
        return Some(());
    }
    let (id, pid) = (object::new_id()?, number::of_process(child)?);
    let parent = *parent;
    process::insert(id, pid, bpf_get_current_comm().ok()?)?;
    module::forked(id, parent.process);
    TASKS.insert(tgid, Task { process: id, pid, ..parent }, 0).ok()
}

/// `sched_process_exec(task, old_pid, bprm)`: from here on the process runs another program.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(_ctx: RawTracePointContext) -> i32 {
    let done = match current_task() {
        Some(task) => on_exec(task),
        None if is_wanted() => begin(),
        None => Some(()),
    };
    if done.is_none() {
        counters::lost();
    }
    0
}

/// Whether the program that now begins is to be traced, whoever started it.
#[inline(always)]
fn is_wanted() -> bool {
    option!(all) != 0 || has_name() || in_cgroup()
}

#[inline(always)]
fn has_name() -> bool {
    let wanted = |index: usize| option_field(|options| &raw const options.comm[index]);
    if wanted(0) == 0 {
        return false;
    }
    let Ok(name) = bpf_get_current_comm() else { return false };
    // SAFETY: any bytes are valid numbers, and there are as many.
    let name: [u32; 4] = unsafe { core::mem::transmute(name) };
    (0..name.len()).all(|index| name[index] == wanted(index))
}

/// The greatest depth of a control group below the root.
const DEPTH: i32 = 16;

/// The id of the control group to trace, or 0.
#[inline(always)]
fn wanted_cgroup() -> u64 {
    let half = |index: usize| u64::from(option_field(|options| &raw const options.cgroup[index]));
    half(0) | half(1) << 32
}

#[inline(always)]
fn in_cgroup() -> bool {
    let wanted = wanted_cgroup();
    if wanted == 0 {
        return false;
    }
    for level in 0..DEPTH {
        // SAFETY: the helper has no preconditions; there is no ancestor 0.
        match unsafe { bpf_get_current_ancestor_cgroup_id(level) } {
            0 => return false,
            id if id == wanted => return true,
            _ => {}
        }
    }
    false
}

/// Traces the current process from now on, if it is in the user's PID namespace.
#[inline(always)]
fn begin() -> Option<()> {
    let Some(pid) = number::of_current_process() else { return Some(()) };
    let id = object::new_id()?;
    process::insert(id, pid, bpf_get_current_comm().ok()?)?;
    module::executed(id);
    TASKS.insert(current_tgid(), Task::new(window::OPEN, id, pid), 0).ok()
}

/// `cgroup_attach_task(cgroup, path, task, threadgroup)`: any process may move another one while it runs.
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: RawTracePointContext) -> i32 {
    // Where stacks are taken, userspace finds the process, and where its code is mapped.
    if option!(stacks) == NEVER && is_below(ctx.arg(0)) && begin_elsewhere(ctx.arg(2)).is_none() {
        counters::lost();
    }
    0
}

/// Whether a `struct cgroup` is the one to trace, or below it. Groups of version 1's hierarchies, which
/// have ids of their own, are not.
#[inline(always)]
fn is_below(mut cgroup: u64) -> bool {
    let root: Option<u64> = read(cgroup, layout!(cgroup_root));
    if root.and_then(|root| read::<u32>(root, layout!(root_hierarchy))) != Some(0) {
        return false;
    }
    for _ in 0..DEPTH {
        let node: Option<u64> = read(cgroup, layout!(cgroup_node));
        if node.and_then(|node| read(node, layout!(node_id))) == Some(wanted_cgroup()) {
            return true;
        }
        let parent: Option<u64> = read(cgroup, layout!(cgroup_parent));
        let above = parent.and_then(|parent| read::<u64>(parent, layout!(state_cgroup)));
        match above {
            Some(above) => cgroup = above,
            None => return false,
        }
    }
    false
}

/// As [`begin`], of the process of any task.
#[inline(always)]
fn begin_elsewhere(task: u64) -> Option<()> {
    let tgid: u32 = read(task, layout!(task_tgid))?;
    let is_traced = TASKS.entry(&tgid).is_some();
    let (false, Some(pid)) = (is_traced, number::of_process(task)) else { return Some(()) };
    let id = object::new_id()?;
    process::insert(id, pid, read(task, layout!(task_name))?)?;
    TASKS.insert(tgid, Task::new(window::OPEN, id, pid), 0).ok()
}

#[inline(always)]
fn on_exec(mut task: Entry<Task>) -> Option<()> {
    // An `exec` leaves one thread of the process.
    reads::forget_process(task.process);
    let id = object::new_id()?;
    process::insert(id, task.pid, bpf_get_current_comm().ok()?)?;
    module::executed(id);
    task.process = id;
    if task.window == window::AT_EXEC {
        task.window = window::OPEN;
    }
    Some(())
}

/// `sched_process_exit(task)` runs in the thread that ends.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = current_task() {
        call::forget_thread();
        process::forget_thread();
        if is_last_thread(ctx.arg(0)) {
            reads::forget_process(task.process);
            let _ = TASKS.remove(current_tgid());
        }
    }
    0
}

/// The kernel decrements the number of live threads before this tracepoint.
#[inline(always)]
fn is_last_thread(task: u64) -> bool {
    read(task, layout!(task_signal))
        .and_then(|signal| read::<u32>(signal, layout!(signal_live)))
        .is_some_and(|live| live == 0)
}
