//! Where a traced process mapped files, to tell the page cache from memory of its own.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_find_vma, bpf_get_current_task_btf};
use tracer_common::{ABSENT, Mapping, Task};

use crate::kernel::layout;

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

/// Calls `on_area`, a function of (task, `struct vm_area_struct`, `found`), with the mapping of the current
/// process that has `address`. It is not called where another thread changes the mappings, nor by a kernel
/// that does not offer this.
///
/// # Safety
/// The function writes to nothing but `found`.
#[inline(always)]
pub unsafe fn at<T>(address: u64, on_area: *mut c_void, found: &mut T) {
    if layout!(helper_find_vma) == ABSENT {
        return;
    }
    // SAFETY: the caller answers for the function, which the helper calls before it returns.
    unsafe {
        let task = bpf_get_current_task_btf();
        bpf_find_vma(task, address, on_area, core::ptr::from_mut(found).cast(), 0);
    }
}
