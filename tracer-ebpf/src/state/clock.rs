//! The cost of calls: the time that a thread runs in them, and the processor's cycles.

use aya_ebpf::{
    bindings::{BPF_F_CURRENT_CPU, bpf_perf_event_value},
    helpers::{bpf_ktime_get_ns, generated::bpf_perf_event_read_value},
    macros::map,
    maps::PerfEventArray,
};
use tracer_common::Spent;

use crate::kernel::option;

/// A counter of cycles for each CPU, where the processor has one.
#[map]
static CYCLES: PerfEventArray<u64> = PerfEventArray::new(0);

/// A thread's time on CPUs since its clock was started.
#[derive(Clone, Copy)]
pub struct StopWatch {
    /// The clocks when it was last resumed; the time is 0 while it is stopped.
    since: Spent,
    spent: Spent,
}

impl StopWatch {
    #[inline(always)]
    pub fn start() -> Self {
        Self { since: now(), spent: Spent::NONE }
    }

    /// Pauses it: the thread leaves its CPU.
    #[inline(always)]
    pub fn pause(&mut self) {
        if self.since.time != 0 {
            let now = now();
            self.spent.time += now.time.saturating_sub(self.since.time);
            self.spent.cycles += now.cycles.saturating_sub(self.since.cycles);
            self.since.time = 0;
        }
    }

    /// Resumes it: the thread comes to a CPU again.
    #[inline(always)]
    pub fn resume(&mut self) {
        if self.since.time == 0 {
            self.since = now();
        }
    }

    #[inline(always)]
    pub fn read(mut self) -> Spent {
        self.pause();
        self.spent
    }
}

#[inline(always)]
fn now() -> Spent {
    // SAFETY: the helper has no preconditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let cycles = if option!(cycles) != 0 { cycles() } else { 0 };
    Spent { time, cycles }
}

#[inline(always)]
fn cycles() -> u64 {
    let mut value = bpf_perf_event_value { counter: 0, enabled: 0, running: 0 };
    // SAFETY: the map is of the kind that the helper takes, and the length is that of the buffer.
    let read = unsafe {
        bpf_perf_event_read_value(
            (&raw const CYCLES).cast_mut().cast(),
            BPF_F_CURRENT_CPU,
            &raw mut value,
            size_of::<bpf_perf_event_value>() as u32,
        )
    };
    if read == 0 { value.counter } else { 0 }
}
