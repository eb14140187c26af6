//! `io_uring`: the results of operations, for copies that are not seen.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{Event, Flow, Key, operation};

use crate::{
    kernel::{layout, read},
    state::{call, counters, socket},
};

/// `io_uring_complete(ring, request, …)`: in a thread of the process that submitted it. The later
/// arguments differ by kernel, and the request has them too.
#[raw_tracepoint(tracepoint = "io_uring_complete")]
pub fn io_uring_complete(ctx: RawTracePointContext) -> i32 {
    let request: u64 = ctx.arg(1);
    // There is no request where an operation posts a completion before its end.
    if request != 0
        && let Some(flow) = call::current_flow()
        && on_request(request, flow).is_none()
    {
        counters::lost();
    }
    0
}

#[inline(always)]
fn on_request(request: u64, flow: Flow) -> Option<()> {
    let opcode: u8 = read(request, layout!(operation_code))?;
    let result: i32 = read(request, layout!(operation_result))?;
    let file: u64 = read(request, layout!(operation_file))?;
    let key = Key {
        kind: if socket::is_traced(file) { operation::ON_SOCKET } else { operation::OTHER },
        detail: u32::from(opcode),
        ..counters::key(Event::IoUring, flow)
    };
    counters::add(key, result.max(0) as u64);
    Some(())
}
