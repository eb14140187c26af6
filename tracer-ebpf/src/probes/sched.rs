//! Context switches of the scheduler.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{ABSENT, Event};

use crate::{
    kernel::{layout, option, read},
    state::{
        call,
        counters::{add, key},
        tasks,
    },
};

/// `sched_switch(preempt, prev, next[, prev_state])` runs in the context of the task that leaves.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub fn sched_switch(ctx: RawTracePointContext) -> i32 {
    if let Some(task) = tasks::task_in_window() {
        let call = call::under_way();
        // As `__schedule` chooses between `nvcsw` and `nivcsw`.
        let preempted = ctx.arg::<u64>(0) & 1 != 0;
        let voluntary = !preempted && state(&ctx) != 0;
        let event = if voluntary { Event::SwitchVoluntary } else { Event::SwitchInvoluntary };
        add(key(event, call::flow_in(task, call)), 0);
        if let Some(call) = call {
            call::pause(call);
        }
    }
    if option!(times) != 0 {
        call::resume(ctx.arg(2));
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
