//! What is traced, and the counters.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{HashMap, PerCpuArray, PerCpuHashMap},
};
use tracer_common::{Event, Key, Socket, Tally, Task, window};

/// Traced processes by thread group id.
#[map]
pub static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(1024, 0);

/// Traced sockets by the address of their `struct sock`.
#[map]
pub static SOCKETS: HashMap<u64, Socket> = HashMap::with_max_entries(4096, 0);

#[map]
static COUNTS: PerCpuHashMap<Key, Tally> = PerCpuHashMap::with_max_entries(8192, 0);

/// Events that found no room in `COUNTS`, `SOCKETS` or memory that could not be read.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The current process, if it is traced, whatever the state of its window.
#[inline(always)]
pub fn current_task() -> Option<*mut Task> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    TASKS.get_ptr_mut(tgid)
}

/// The current process, if it is traced and its window is open.
#[inline(always)]
pub fn task_in_window() -> Option<*mut Task> {
    let task = current_task()?;
    // SAFETY: the map gave the pointer, and its entries live as long as the program runs.
    (unsafe { (*task).window } == window::OPEN).then_some(task)
}

/// The current process's role, if its window is open.
#[inline(always)]
pub fn role_in_window() -> Option<u8> {
    // SAFETY: as in `task_in_window`.
    task_in_window().map(|task| unsafe { (*task).role })
}

/// The key of an event that needs no more to be told apart.
#[inline(always)]
pub fn key(event: Event, role: u8) -> Key {
    Key { event: event as u16, role, kind: 0, detail: 0, address: 0 }
}

/// Adds one event of `bytes`.
#[inline(always)]
pub fn add(key: Key, bytes: u64) {
    tally(key, bytes, 1);
}

/// Adds bytes to an event that was counted already.
#[inline(always)]
pub fn add_bytes(key: Key, bytes: u64) {
    tally(key, bytes, 0);
}

#[inline(always)]
fn tally(key: Key, bytes: u64, calls: u64) {
    if let Some(tally) = COUNTS.get_ptr_mut(key) {
        // SAFETY: the map gave the pointer, and no other CPU has this one's entry.
        unsafe {
            (*tally).bytes += bytes;
            (*tally).calls += calls;
        }
    } else if COUNTS.insert(key, Tally { bytes, calls }, 0).is_err() {
        lost();
    }
}

/// Counts an event that could not be counted otherwise.
#[inline(always)]
pub fn lost() {
    if let Some(lost) = LOST.get_ptr_mut(0) {
        // SAFETY: as in `tally`.
        unsafe { *lost += 1 };
    }
}
