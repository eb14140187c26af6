//! System calls, and the marker that opens and closes a window.

use aya_ebpf::{bindings::pt_regs, macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::info;
use tracer_common::{Event, Flow, Key, Task, call, marker, stack::NEVER, window};

use crate::{
    count::{self, Actor, current_task},
    flow,
    kernel::{option, read, read_user},
    mapping, module, packet, socket, stack,
};

const SYS_WRITE: u32 = 1;
const SYS_MMAP: u32 = 9;
const SYS_WRITEV: u32 = 20;
pub const SYS_SENDTO: u32 = 44;
pub const SYS_SENDMSG: u32 = 46;
const SYS_GETSOCKOPT: u32 = 55;
const SYS_PRCTL: u32 = 157;
const SYS_SPLICE: u32 = 275;
pub const SYS_VMSPLICE: u32 = 278;
const SYS_RECVMMSG: u32 = 299;
const SYS_SENDMMSG: u32 = 307;
const MSG_ZEROCOPY: u64 = 0x400_0000;
const MAP_ANONYMOUS: u64 = 0x20;
const PROT_EXEC: u64 = 4;
const TCP_ZEROCOPY_RECEIVE: u64 = 35;
/// `tcp_zerocopy_receive.length`, the third field.
const MAPPED_LENGTH: u32 = 8;

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
    let (open, process) = unsafe { ((*task).window == window::OPEN, (*task).process) };
    if !open {
        return;
    }
    if process == 0 {
        count::add(syscall_key(task, regs, number), 0);
    } else if flow::enter(task, regs, number).is_none() {
        // Others are counted when they have ended, with what they moved.
        count::add(flow_key(task, number, Flow { process, ..Flow::NONE }, 0), 0);
    }
}

/// The key of a system call of a process that is traced as a whole, in a flow of its.
#[inline(always)]
fn flow_key(task: *mut Task, number: u32, flow: Flow, kind: u32) -> Key {
    // SAFETY: the map gave the pointer.
    let role = unsafe { (*task).role };
    Key { kind: kind as u8, detail: number, ..count::key(Event::Syscall, Actor { role, flow }) }
}

#[inline(always)]
fn syscall_key(task: *mut Task, regs: u64, number: u32) -> Key {
    let kind = match number {
        SYS_SPLICE if register!(regs, rdx).is_some_and(|fd| socket::is_traced(fd as u32)) => {
            call::TO_SOCKET
        }
        SYS_SPLICE if register!(regs, rdi).is_some_and(|fd| socket::is_traced(fd as u32)) => {
            call::FROM_SOCKET
        }
        SYS_GETSOCKOPT
            if (register!(regs, rsi), register!(regs, rdx))
                == (Some(u64::from(packet::TCP)), Some(TCP_ZEROCOPY_RECEIVE)) =>
        {
            call::MAPS_RECEIVED
        }
        SYS_SENDTO if register!(regs, r10).is_some_and(asks_for_zero_copy) => call::ZERO_COPY,
        SYS_SENDMSG if register!(regs, rdx).is_some_and(asks_for_zero_copy) => call::ZERO_COPY,
        SYS_WRITE if in_mapping(task, register!(regs, rsi)) => call::FROM_MAPPING,
        SYS_WRITEV if in_mapping(task, first_part(register!(regs, rsi))) => call::FROM_MAPPING,
        _ => call::PLAIN,
    };
    Key { kind, detail: number, ..count::key(Event::Syscall, Actor::of_task(task)) }
}

/// Whether the flags of a sending call ask that its memory be sent by reference.
#[inline(always)]
pub fn asks_for_zero_copy(flags: u64) -> bool {
    flags & MSG_ZEROCOPY != 0
}

/// Where the first of an array of `struct iovec` in the process's memory points to.
#[inline(always)]
fn first_part(parts: Option<u64>) -> Option<u64> {
    read_user(parts?, 0)
}

/// Whether an address lies in a file that the process mapped.
#[inline(always)]
fn in_mapping(task: *mut Task, address: Option<u64>) -> bool {
    address.is_some_and(|address| mapping::holds(task, address))
}

#[inline(always)]
fn on_marker(ctx: &RawTracePointContext, task: *mut Task, regs: u64) {
    let open = register!(regs, rsi) == Some(marker::OPEN);
    let fd = register!(regs, rdx).unwrap_or(u64::MAX) as i32;
    // SAFETY: the map gave the pointer.
    unsafe {
        // A window that is open stays so: the marker only adds a socket to it.
        if !open {
            (*task).window = window::CLOSED;
        } else if (*task).window != window::OPEN {
            (*task).window = window::ARMED;
        }
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
    let state = unsafe { &mut (*task).window };
    if *state == window::ARMED {
        *state = window::OPEN;
        return;
    }
    if *state != window::OPEN {
        return;
    }
    let regs: u64 = ctx.arg(0);
    let returned: i64 = ctx.arg(1);
    // SAFETY: the map gave the pointer.
    if unsafe { (*task).process } != 0 {
        // Machine code is followed for the names in stacks alone.
        if option!(stacks) != NEVER && register!(regs, orig_rax) == Some(u64::from(SYS_MMAP)) {
            return on_code(ctx, task, returned);
        }
        return on_flow_exit(ctx, task, returned);
    }
    on_window_exit(task, regs, returned);
}

/// A function of its own: programs have little room on the stack.
#[inline(never)]
fn on_window_exit(task: *mut Task, regs: u64, returned: i64) {
    let Some(number) = register!(regs, orig_rax) else { return count::lost() };
    if number as u32 == SYS_MMAP {
        return on_mapping(task, regs, returned);
    }
    let key = syscall_key(task, regs, number as u32);
    let bytes = if key.kind == call::MAPS_RECEIVED && returned == 0 {
        // It says how much in its argument.
        register!(regs, r10).and_then(|zc| read_user::<u32>(zc, MAPPED_LENGTH)).map(i64::from)
    } else {
        Some(returned)
    };
    match bytes {
        Some(bytes) if bytes > 0 => count::add_bytes(key, bytes as u64),
        Some(_) => {}
        None => count::lost(),
    }
}

/// A function of its own: programs have little room on the stack.
#[inline(never)]
fn on_flow_exit(ctx: &RawTracePointContext, task: *mut Task, returned: i64) {
    let Some(entry) = flow::under_way() else { return };
    // SAFETY: the map gave the pointer, and only this thread writes to it.
    let current = unsafe { &*entry };
    // These return how many messages, and not how many bytes.
    let is_bytes = current.number != SYS_RECVMMSG && current.number != SYS_SENDMMSG;
    let bytes = if is_bytes { returned.max(0) as u64 } else { 0 };
    let key = stack::of_call(ctx, flow_key(task, current.number, current.flow, current.kind));
    count::add_call(key, bytes, current.watch.read());
    // SAFETY: the map gave the pointer.
    flow::leave(unsafe { (*task).process }, entry, returned);
}

/// Says where the process mapped machine code.
#[inline(always)]
fn on_code(ctx: &RawTracePointContext, task: *mut Task, address: i64) {
    let regs: u64 = ctx.arg(0);
    let (Some(protection), Some(flags)) = (register!(regs, rdx), register!(regs, r10)) else {
        return count::lost();
    };
    if !failed(address) && protection & PROT_EXEC != 0 && flags & MAP_ANONYMOUS == 0 {
        // SAFETY: the map gave the pointer.
        module::mapped(unsafe { (*task).process }, address as u64);
    }
}

/// Whether `mmap` returned an error instead of an address.
#[inline(always)]
fn failed(address: i64) -> bool {
    (-4095..0).contains(&address)
}

/// Remembers where the process mapped a file, to tell copies out of the page cache from copies
/// out of its own memory.
#[inline(always)]
fn on_mapping(task: *mut Task, regs: u64, address: i64) {
    let (Some(length), Some(flags)) = (register!(regs, rsi), register!(regs, r10)) else { return };
    if failed(address) || flags & MAP_ANONYMOUS != 0 {
        return;
    }
    mapping::made(task, address as u64, length);
}
