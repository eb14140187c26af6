//! The copy in user space, in a function that a uprobe sees.

use std::{hint::black_box, ptr};

/// A function with the signature of `memcpy`: the third argument is the number of bytes.
pub type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize);

/// The function that copies in user space, for a uprobe.
pub const USER_COPY: Copy = copytrace_user_copy;

/// Copies a byte: a uprobe's first hit takes a page fault for the kernel's single-step page.
pub fn copy_once() {
    let (mut to, from) = (0, 1);
    // SAFETY: both are one byte long.
    unsafe { copytrace_user_copy(&raw mut to, &raw const from, 1) };
    // Read, so that the compiler does not remove the call.
    black_box(to);
}

/// Copies in user space. Never inlined, so that a uprobe sees it.
///
/// # Safety
///
/// As for [`ptr::copy_nonoverlapping`].
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn copytrace_user_copy(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, bytes) };
}
