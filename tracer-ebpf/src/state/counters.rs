//! The counters.

use aya_ebpf::{
    helpers::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
};
use tracer_common::{Event, Flow, Key, ON_DEMAND, Spent, Stacks, Tally};

use super::entry::Entries as _;

/// Counters of the even epoch.
#[map]
static COUNTS_EVEN: HashMap<Key, Tally> = HashMap::with_max_entries(4096, ON_DEMAND);

/// Counters of the odd epoch.
#[map]
static COUNTS_ODD: HashMap<Key, Tally> = HashMap::with_max_entries(4096, ON_DEMAND);

/// Sums over all flows of a process, for counters that found no room in the even epoch.
#[map]
static OVERFLOW_EVEN: PerCpuHashMap<Key, Tally> = PerCpuHashMap::with_max_entries(512, 0);

/// The same for the odd epoch.
#[map]
static OVERFLOW_ODD: PerCpuHashMap<Key, Tally> = PerCpuHashMap::with_max_entries(512, 0);

/// The current epoch, whose counters are written: 0 or 1.
#[map]
static EPOCH: Array<u32> = Array::with_max_entries(1, 0);

/// Events that found no room among the counters or in `SOCKETS`, or memory that could not be read.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The key of an event that has no other distinction.
#[inline(always)]
pub fn key(event: Event, flow: Flow) -> Key {
    // The verifier sees that it is one of two.
    let epoch = (EPOCH.get(0).copied().unwrap_or(0) & 1) as u8;
    let stacks = Stacks::NONE;
    // SAFETY: the helper has no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let event = event as u8;
    Key { event, epoch, kind: 0, unused: 0, detail: 0, address: 0, flow, stacks, cpu, padding: 0 }
}

/// Adds one event of `bytes`.
#[inline(always)]
pub fn add(key: Key, bytes: u64) {
    tally(key, Tally::new(bytes, 1));
}

/// Adds a call, with its bytes and its cost.
#[inline(always)]
pub fn add_call(key: Key, bytes: u64, spent: Spent) {
    tally(key, Tally { bytes, calls: 1, spent });
}

#[inline(always)]
fn tally(mut key: Key, more: Tally) {
    let counts = if key.epoch == 0 { &COUNTS_EVEN } else { &COUNTS_ODD };
    if let Some(mut tally) = counts.entry(&key) {
        // No other CPU has this one's entry.
        tally.add(&more);
    } else if counts.insert(key, more, 0).is_err() {
        overflow(&mut key, &more);
    }
}

/// Counts an event of a flow for its process alone. A function of its own, because it is rarely needed.
#[inline(never)]
fn overflow(key: &mut Key, more: &Tally) {
    (key.flow.source, key.flow.destination) = (Flow::NONE.source, Flow::NONE.destination);
    (key.stacks, key.cpu) = (Stacks::NONE, 0);
    let counts = if key.epoch == 0 { &OVERFLOW_EVEN } else { &OVERFLOW_ODD };
    if let Some(mut tally) = counts.entry(key) {
        tally.add(more);
    } else if counts.insert(&*key, more, 0).is_err() {
        lost();
    }
}

/// Counts an event that could not be counted otherwise.
#[inline(always)]
pub fn lost() {
    if let Some(mut lost) = LOST.entry(&0) {
        *lost += 1;
    }
}
