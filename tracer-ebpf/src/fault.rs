//! Page faults: only one taken in user mode is a mode switch.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::Event;

use crate::count::{self, add, key};

#[raw_tracepoint(tracepoint = "page_fault_user")]
pub fn page_fault_user(_ctx: RawTracePointContext) -> i32 {
    fault(Event::FaultUser)
}

#[raw_tracepoint(tracepoint = "page_fault_kernel")]
pub fn page_fault_kernel(_ctx: RawTracePointContext) -> i32 {
    fault(Event::FaultKernel)
}

#[inline(always)]
fn fault(event: Event) -> i32 {
    if let Some(actor) = count::actor() {
        add(key(event, actor), 0);
    }
    0
}
