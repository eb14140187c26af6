//! System calls, and the marker that opens and closes a window.

use aya_ebpf::{bindings::pt_regs, macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::info;
use tracer_common::{Event, Key, Task, call, marker, window};

use crate::{
    count::{self, current_task, task_in_window},
    kernel::read,
    socket,
};

const SYS_WRITE: u32 = 1;
const SYS_MMAP: u32 = 9;
const SYS_SENDTO: u32 = 44;
const SYS_SENDMSG: u32 = 46;
const SYS_PRCTL: u32 = 157;
const SYS_SPLICE: u32 = 275;
const MSG_ZEROCOPY: u64 = 0x400_0000;
const MAP_ANONYMOUS: u64 = 0x20;

/// Reads a register of the `pt_regs` at `$regs`.
macro_rules! register {
    ($regs:expr, $name:ident) => {
        read::<u64>($regs, core::mem::offset_of!(pt_regs, $name) as u32)
    };
}

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = current_task() {
        on_enter(&ctx, task);
    }
    0
}

#[inline(always)]
fn on_enter(ctx: &RawTracePointContext, task: *mut Task) {
    let regs: u64 = ctx.arg(0);
    let number = ctx.arg::<u64>(1) as u32;
    if number == SYS_PRCTL && register!(regs, rdi) == Some(u64::from(marker::OPTION)) {
        return on_marker(ctx, task, regs);
    }
    // SAFETY: the map gave the pointer.
    if unsafe { (*task).window } == window::OPEN {
        count::add(syscall_key(task, regs, number), 0);
    }
}

#[inline(always)]
fn syscall_key(task: *mut Task, regs: u64, number: u32) -> Key {
    // SAFETY: the map gave the pointer.
    let role = unsafe { (*task).role };
    let kind = match number {
        SYS_SPLICE if register!(regs, rdx).is_some_and(|fd| socket::is_traced(fd as u32)) => {
            call::TO_SOCKET
        }
        SYS_SENDTO if zero_copy(register!(regs, r10)) => call::ZERO_COPY,
        SYS_SENDMSG if zero_copy(register!(regs, rdx)) => call::ZERO_COPY,
        SYS_WRITE if in_mapping(task, register!(regs, rsi)) => call::FROM_MAPPING,
        _ => call::PLAIN,
    };
    Key { kind, detail: number, ..count::key(Event::Syscall, role) }
}

#[inline(always)]
fn zero_copy(flags: Option<u64>) -> bool {
    flags.is_some_and(|flags| flags & MSG_ZEROCOPY != 0)
}

/// Whether an address lies in the file that the process mapped.
#[inline(always)]
fn in_mapping(task: *mut Task, address: Option<u64>) -> bool {
    // SAFETY: the map gave the pointer.
    let (start, end) = unsafe { ((*task).mapping_start, (*task).mapping_end) };
    address.is_some_and(|address| (start..end).contains(&address))
}

#[inline(always)]
fn on_marker(ctx: &RawTracePointContext, task: *mut Task, regs: u64) {
    let open = register!(regs, rsi) == Some(marker::OPEN);
    let fd = register!(regs, rdx).unwrap_or(u64::MAX) as i32;
    // SAFETY: the map gave the pointer.
    unsafe {
        (*task).window = if open { window::ARMED } else { window::CLOSED };
        if open && fd >= 0 && socket::trace(fd as u32, (*task).role).is_none() {
            count::lost();
        }
    }
    info!(ctx, "window marker: open {} fd {}", u32::from(open), fd);
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = current_task() {
        on_exit(&ctx, task);
    }
    0
}

#[inline(always)]
fn on_exit(ctx: &RawTracePointContext, task: *mut Task) {
    // SAFETY: the map gave the pointer.
    if unsafe { (*task).window } == window::ARMED {
        // SAFETY: as above.
        unsafe { (*task).window = window::OPEN };
        return;
    }
    if task_in_window().is_none() {
        return;
    }
    let regs: u64 = ctx.arg(0);
    let returned: i64 = ctx.arg(1);
    let Some(number) = register!(regs, orig_rax) else { return count::lost() };
    if number as u32 == SYS_MMAP {
        on_mapping(task, regs, returned);
    } else if returned > 0 {
        count::add_bytes(syscall_key(task, regs, number as u32), returned as u64);
    }
}

/// Remembers where the process mapped a file, to tell copies out of the page cache from copies
/// out of its own memory.
#[inline(always)]
fn on_mapping(task: *mut Task, regs: u64, address: i64) {
    let failed = (-4095..0).contains(&address);
    let (Some(length), Some(flags)) = (register!(regs, rsi), register!(regs, r10)) else { return };
    if failed || flags & MAP_ANONYMOUS != 0 {
        return;
    }
    // SAFETY: the map gave the pointer.
    unsafe {
        (*task).mapping_start = address as u64;
        (*task).mapping_end = address as u64 + length;
    }
}
