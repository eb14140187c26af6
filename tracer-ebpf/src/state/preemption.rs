//! From 6.13 on a program at the tracepoints of system calls can be preempted. The kernel then skips the
//! same program for another task on that CPU; a twin of the program, which runs after it, does the work
//! for that task.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_common::preemption::{DISABLE, ENABLE};

use super::entry::Entries as _;
use crate::kernel::option;

/// The tracepoints that have twins: the state of each CPU's program there.
#[derive(Clone, Copy)]
pub enum At {
    Enter = 0,
    Exit = 1,
}

/// Whether a CPU's program has done its work, but not returned.
#[map]
static LEAVING: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

/// How often a twin did the work.
#[map]
static TAKEN_OVER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Begins the work of a program, with preemption disabled. It can be preempted only at its end, when
/// preemption is enabled again.
#[inline(always)]
pub fn begin() {
    if option!(twins) != 0 {
        call::<DISABLE>();
    }
}

/// Ends it.
#[inline(always)]
pub fn end(at: At) {
    if option!(twins) != 0 {
        leaving(at, 1);
        call::<ENABLE>();
        leaving(at, 0);
    }
}

/// Begins it in the twin, if the program has not run for this task: the program of another task is at its
/// end.
#[inline(always)]
pub fn take_over(at: At) -> bool {
    let was_skipped = LEAVING.entry(&(at as u32)).is_some_and(|leaving| *leaving != 0);
    if was_skipped {
        call::<DISABLE>();
        if let Some(mut times) = TAKEN_OVER.entry(&0) {
            *times += 1;
        }
    }
    was_skipped
}

/// Ends it in the twin.
#[inline(always)]
pub fn end_in_twin() {
    call::<ENABLE>();
}

#[inline(always)]
fn leaving(at: At, leaving: u64) {
    if let Some(mut entry) = LEAVING.entry(&(at as u32)) {
        // SAFETY: it is a reference. The write is volatile, because other tasks read it between two
        // writes.
        unsafe { (&raw mut *entry).write_volatile(leaving) };
    }
}

/// Calls a kernel function: the loader puts its id into this call.
#[inline(always)]
fn call<const FUNCTION: i32>() {
    // SAFETY: the functions have no arguments, and clobber these registers as any call does.
    unsafe {
        asm!(
            "call {function}",
            function = const FUNCTION,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
