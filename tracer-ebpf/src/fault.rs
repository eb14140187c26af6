//! Page faults: only one taken in user mode is a mode switch.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::Event;

use crate::count::{self, Actor, add, key};

#[raw_tracepoint(tracepoint = "page_fault_user")]
pub fn page_fault_user(_ctx: RawTracePointContext) -> i32 {
    // A program that runs is in no call.
    count::task_in_window().map_or(0, |task| fault(Event::FaultUser, Actor::in_call(task, None)))
}

#[raw_tracepoint(tracepoint = "page_fault_kernel")]
pub fn page_fault_kernel(_ctx: RawTracePointContext) -> i32 {
    count::actor().map_or(0, |actor| fault(Event::FaultKernel, actor))
}

#[inline(always)]
fn fault(event: Event, actor: Actor) -> i32 {
    add(key(event, actor), 0);
    0
}
