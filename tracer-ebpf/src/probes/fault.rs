//! Page faults: only one taken in user mode is a mode switch.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{Event, Flow};

use crate::state::{
    call,
    counters::{add, key},
    tasks,
};

#[raw_tracepoint(tracepoint = "page_fault_user")]
pub fn page_fault_user(_ctx: RawTracePointContext) -> i32 {
    // In user mode no call is under way.
    tasks::task_in_window().map_or(0, |task| fault(Event::FaultUser, call::flow_in(task, None)))
}

#[raw_tracepoint(tracepoint = "page_fault_kernel")]
pub fn page_fault_kernel(_ctx: RawTracePointContext) -> i32 {
    call::current_flow().map_or(0, |flow| fault(Event::FaultKernel, flow))
}

#[inline(always)]
fn fault(event: Event, flow: Flow) -> i32 {
    add(key(event, flow), 0);
    0
}
