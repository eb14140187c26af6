//! From 6.13 on a program at the tracepoints of system calls can be put off its CPU, and the kernel does not
//! run the same program for who comes there meanwhile: a twin of it, which runs after it, does its work then.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_common::preemption::{DISABLE, ENABLE};

use super::entry::Entries as _;
use crate::kernel::option;

/// The tracepoints that have twins: what is known of each CPU's program there.
#[derive(Clone, Copy)]
pub enum At {
    Enter = 0,
    Exit = 1,
}

/// Whether a CPU's program has done its work, but has not ended.
#[map]
static LEAVING: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

/// How often a twin did the work.
#[map]
static TAKEN_OVER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Begins the work of a program. It is put off its CPU at its end, if at all: the kernel looks for others that
/// want to run when that is allowed again.
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

/// Begins it in the twin, if the program has not run for this task: another one is at its end.
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
        // SAFETY: it is a reference. Volatile, because others read it between two writes.
        unsafe { (&raw mut *entry).write_volatile(leaving) };
    }
}

/// Calls a function of the kernel's, which the loader puts in the place of this call.
#[inline(always)]
fn call<const FUNCTION: i32>() {
    // SAFETY: the functions have no arguments; as any call they leave nothing in these registers.
    unsafe {
        asm!(
            "call {function}",
            function = const FUNCTION,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
