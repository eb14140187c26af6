//! Files that a traced process mapped in its window, to tell the page cache from its own memory.

use tracer_common::{Mapping, Task};

use super::entry::Entry;

/// Whether it mapped a file.
#[inline(always)]
pub fn any(task: Entry<Task>) -> bool {
    task.mappings[0].end != 0
}

/// Whether an address of the process lies in a file that it mapped.
#[inline(always)]
pub fn holds(task: Entry<Task>, address: u64) -> bool {
    let [latest, earlier] = task.mappings;
    let inside = |mapping: Mapping| (mapping.start..mapping.end).contains(&address);
    inside(latest) || inside(earlier)
}

/// Stores a mapping.
#[inline(always)]
pub fn made(mut task: Entry<Task>, start: u64, length: u64) {
    task.mappings[1] = task.mappings[0];
    task.mappings[0] = Mapping { start, end: start + length };
}
