//! Context switches of the scheduler.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{ABSENT, Event};

use crate::{
    count::{self, add, key},
    flow,
    kernel::{layout, option, read},
};

/// `sched_switch(preempt, prev, next[, prev_state])` runs in the context of the task that leaves.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub fn sched_switch(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = count::task_in_window() {
        let call = flow::under_way();
        // As `__schedule` decides between `nvcsw` and `nivcsw`.
        let preempted = ctx.arg::<u64>(0) & 1 != 0;
        let voluntary = !preempted && state(&ctx) != 0;
        let event = if voluntary { Event::SwitchVoluntary } else { Event::SwitchInvoluntary };
        add(key(event, count::flow_in(task, call)), 0);
        if let Some(call) = call {
            flow::stop(call);
        }
    }
    if option!(times) != 0 {
        flow::go_on(ctx.arg(2));
    }
    0
}

/// The state of the task that leaves: 0 is runnable.
#[inline(always)]
fn state(ctx: &RawTracePointContext) -> u32 {
    if layout!(switch_state_argument) != ABSENT {
        return ctx.arg::<u64>(3) as u32;
    }
    read(ctx.arg(1), layout!(task_state)).unwrap_or(0)
}
