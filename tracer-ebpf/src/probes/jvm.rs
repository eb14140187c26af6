//! Copies that a Java virtual machine makes in its own memory, seen where its stub for them begins.

use aya_ebpf::{
    bindings::{bpf_perf_event_data, pt_regs},
    macros::{map, perf_event},
    maps::HashMap,
    programs::PerfEventContext,
};
use tracer_common::{Event, Flow, Key, jvm};

use crate::{
    kernel::read_user,
    state::{counters, entry::Entries as _, process, stack, tasks::task_in_window},
};

/// Where the stub of a process begins, by what it is called in flows: after an exec there is another, or none.
#[map]
static STUBS: HashMap<u32, u64> = HashMap::with_max_entries(jvm::MOST, 0);

/// At the first instruction of the stub: (from, to, bytes).
#[perf_event]
pub fn jvm_copy(ctx: PerfEventContext) -> u32 {
    let data: *const bpf_perf_event_data = ctx.ctx;
    // SAFETY: the context is valid while the program runs; the registers are its first field.
    let regs = unsafe { &*data.cast::<pt_regs>() };
    let (ip, sp, bytes) = (regs.rip, regs.rsp, regs.rdx);
    // Another program may have other code there.
    if let Some(task) = task_in_window()
        && STUBS.entry(&task.process).is_some_and(|stub| *stub == ip)
    {
        // It runs in no call of the kernel's.
        let flow = Flow { process: process::of_call(task.process), ..Flow::NONE };
        let key = stack::of_user_copy(&ctx, counters::key(Event::JvmCopy, flow));
        counters::add(Key { address: caller(sp, key), ..key }, bytes);
    }
    0
}

/// Where the stub returns to, if there is a stack to go with it: a function has no frame of its own at its
/// first instruction, so that a stack lacks its caller.
#[inline(always)]
fn caller(sp: u64, key: Key) -> u64 {
    if !stack::is_taken(key) {
        return 0;
    }
    read_user(sp, 0).unwrap_or(0)
}
