//! Signals sent to traced processes. A signal to a whole process group must not be passed on to a process
//! that has it already.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{map, raw_tracepoint},
    maps::LruHashMap,
    programs::RawTracePointContext,
};
use tracer_common::signal::{Sent, Signal};

use crate::{
    kernel::{layout, number, read},
    state::{entry::Entries as _, tasks::TASKS},
};

/// The last signals of each number that were sent to processes.
#[map]
static SIGNALS: LruHashMap<Signal, Sent> = LruHashMap::with_max_entries(256, 0);

/// `signal_generate(sig, info, task, group, result)` runs in the sender.
#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn signal_generate(ctx: RawTracePointContext) -> i32 {
    // A signal that has left the map is passed on, as it would be without this program.
    let _ = remember(ctx.arg::<i32>(0) as u32, ctx.arg(2));
    0
}

#[inline(always)]
fn remember(number: u32, task: u64) -> Option<()> {
    let receiver = TASKS.entry(&read(task, layout!(task_tgid))?)?;
    let signal = Signal { process: receiver.pid, number };
    let sender = number::of_current_process().unwrap_or(0);
    // SAFETY: the helper has no preconditions.
    let sent = Sent { sender, padding: 0, at: unsafe { bpf_ktime_get_ns() } };
    SIGNALS.insert(signal, sent, 0).ok()
}
