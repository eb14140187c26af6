//! Where a traced process mapped files, to tell the page cache from memory of its own.

use tracer_common::{Mapping, Task};

/// Whether it mapped one in its window.
#[inline(always)]
pub fn any(task: *mut Task) -> bool {
    // SAFETY: `count` gave the pointer, and its entries live as long as the program runs.
    unsafe { (*task).mappings[0].end != 0 }
}

/// Whether an address of the process lies in a file that it mapped.
#[inline(always)]
pub fn holds(task: *mut Task, address: u64) -> bool {
    // SAFETY: as above.
    let [latest, earlier] = unsafe { (*task).mappings };
    let inside = |mapping: Mapping| (mapping.start..mapping.end).contains(&address);
    inside(latest) || inside(earlier)
}

/// Remembers one.
#[inline(always)]
pub fn made(task: *mut Task, start: u64, length: u64) {
    // SAFETY: as above.
    unsafe {
        (*task).mappings[1] = (*task).mappings[0];
        (*task).mappings[0] = Mapping { start, end: start + length };
    }
}
