//! System calls, and the marker that opens and closes a window.

use aya_ebpf::{bindings::pt_regs, macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::info;
use tracer_common::{Event, Flow, Key, Task, marker, stack::NEVER, window};

use super::flow;
use crate::{
    kernel::{option, read, syscall},
    state::{
        call, counters,
        entry::Entry,
        mapping, module,
        preemption::{self, At},
        reads, socket, stack,
        tasks::current_task,
    },
};

const MAP_ANONYMOUS: u64 = 0x20;
const PROT_EXEC: u64 = 4;

/// Reads a register of the `pt_regs` at `$regs`.
macro_rules! register {
    ($regs:expr, $name:ident) => {
        read::<u64>($regs, core::mem::offset_of!(pt_regs, $name) as u32)
    };
}

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter(ctx: RawTracePointContext) -> i32 {
    preemption::begin();
    on_enter(&ctx);
    preemption::end(At::Enter);
    0
}

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter_twin(ctx: RawTracePointContext) -> i32 {
    if preemption::take_over(At::Enter) {
        on_enter(&ctx);
        preemption::end_in_twin();
    }
    0
}

#[inline(always)]
fn on_enter(ctx: &RawTracePointContext) {
    let Some(task) = current_task() else { return };
    let regs: u64 = ctx.arg(0);
    let number = ctx.arg::<u64>(1) as u32;
    if number == syscall::PRCTL && register!(regs, rdi) == Some(u64::from(marker::OPTION)) {
        return on_marker(ctx, task, regs);
    }
    let process = task.process;
    if task.window == window::OPEN && flow::enter(task, regs, number).is_none() {
        // Data calls are counted at their exit, with the bytes that they moved.
        counters::add(call_key(number, Flow { process, ..Flow::NONE }, 0), 0);
    }
}

/// The key of a system call in a flow.
#[inline(always)]
fn call_key(number: u32, flow: Flow, kind: u32) -> Key {
    Key { kind: kind as u8, detail: number, ..counters::key(Event::Syscall, flow) }
}

#[inline(always)]
fn on_marker(ctx: &RawTracePointContext, mut task: Entry<Task>, regs: u64) {
    let open = register!(regs, rsi) == Some(marker::OPEN);
    let fd = register!(regs, rdx).unwrap_or(u64::MAX) as i32;
    // An open window stays open: the marker only adds a socket to it.
    if !open {
        task.window = window::CLOSED;
    } else if task.window != window::OPEN {
        task.window = window::ARMED;
    }
    if open && fd >= 0 && socket::trace(fd as u32, task.process).is_none() {
        counters::lost();
    }
    info!(ctx, "window marker: open {} fd {}", u32::from(open), fd);
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    preemption::begin();
    on_exit(&ctx);
    preemption::end(At::Exit);
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit_twin(ctx: RawTracePointContext) -> i32 {
    if preemption::take_over(At::Exit) {
        on_exit(&ctx);
        preemption::end_in_twin();
    }
    0
}

#[inline(always)]
fn on_exit(ctx: &RawTracePointContext) {
    let Some(mut task) = current_task() else { return };
    if task.window == window::ARMED {
        task.window = window::OPEN;
        return;
    }
    if task.window != window::OPEN {
        return;
    }
    let returned: i64 = ctx.arg(1);
    // Without stacks and windows the mappings are not needed.
    if option!(stacks) != NEVER || option!(windows) != 0 {
        let regs: u64 = ctx.arg(0);
        if register!(regs, orig_rax) == Some(u64::from(syscall::MMAP)) {
            return on_mapping(ctx, task, returned);
        }
    }
    on_flow_exit(ctx, task, returned);
}

/// A function of its own, because programs have little stack.
#[inline(never)]
fn on_flow_exit(ctx: &RawTracePointContext, task: Entry<Task>, returned: i64) {
    let Some(current) = call::under_way() else { return };
    // These return a number of messages, and not of bytes.
    let is_bytes = !matches!(current.number, syscall::RECVMMSG | syscall::SENDMMSG);
    let bytes = if is_bytes { flow::moved(&current, returned) } else { 0 };
    let key = stack::of_call(ctx, call_key(current.number, current.flow, current.kind));
    counters::add_call(key, bytes, current.watch.read());
    call::end(current);
    if current.buffer != 0 && returned > 0 {
        reads::remember(task.process, current.buffer, returned as u64, current.flow.source);
    }
}

/// Records where the process mapped a file: machine code, for the names in stacks; in a window every
/// file, to tell copies out of the page cache from copies out of the program's own memory.
#[inline(always)]
fn on_mapping(ctx: &RawTracePointContext, task: Entry<Task>, address: i64) {
    let regs: u64 = ctx.arg(0);
    let (Some(length), Some(protection), Some(flags)) =
        (register!(regs, rsi), register!(regs, rdx), register!(regs, r10))
    else {
        return counters::lost();
    };
    if failed(address) || flags & MAP_ANONYMOUS != 0 {
        return;
    }
    if option!(windows) != 0 {
        mapping::made(task, address as u64, length);
    }
    if option!(stacks) != NEVER && protection & PROT_EXEC != 0 {
        module::mapped(task.process, address as u64);
    }
}

/// Whether `mmap` returned an error instead of an address.
#[inline(always)]
fn failed(address: i64) -> bool {
    (-4095..0).contains(&address)
}
