//! `struct vm_area_struct`: the mappings of a process.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_find_vma, bpf_get_current_task_btf};
use tracer_common::ABSENT;

use super::layout;

/// Calls `on_area`, a function of (task, `struct vm_area_struct`, `found`), with the mapping of the
/// current process at `address`. It is not called while another thread changes the mappings, nor on a
/// kernel without `bpf_find_vma`.
///
/// # Safety
/// The function writes to nothing but `found`.
#[inline(always)]
pub unsafe fn at<T>(address: u64, on_area: *mut c_void, found: &mut T) {
    if layout!(helper_find_vma) == ABSENT {
        return;
    }
    // SAFETY: the caller vouches for the function, which the helper calls before it returns.
    unsafe {
        let task = bpf_get_current_task_btf();
        bpf_find_vma(task, address, on_area, core::ptr::from_mut(found).cast(), 0);
    }
}
