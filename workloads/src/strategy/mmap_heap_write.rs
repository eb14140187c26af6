//! `mmap` the file once, copy each message to the heap, `write` it from there: what RocketMQ does by
//! default (`transferMsgByHeap`).

use std::{hint::black_box, os::fd::BorrowedFd, ptr};

use rustix::mm::MapFlags;

use super::{Job, Strategy, Transfer, calls, mapped::Mapped, touched_buffer};
use crate::{Result, tally::Tally};

pub struct MmapHeapWrite;

impl Strategy for MmapHeapWrite {
    fn name(&self) -> &'static str {
        "mmap-heap-write"
    }

    fn summary(&self) -> &'static str {
        "as mmap-write, but each message is copied to the heap before its write(): RocketMQ's default"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        let mut heap = touched_buffer(job.shape.message_len());
        let send = move |socket: BorrowedFd<'_>, message: &[u8], tally: &mut Tally| {
            // SAFETY: both have the length of one message, and the heap is no part of the mapping.
            unsafe { copytrace_user_copy(heap.as_mut_ptr(), message.as_ptr(), message.len()) };
            calls::write_all(socket, &heap, tally)
        };
        Ok(Box::new(Mapped::new(job, MapFlags::SHARED, send)))
    }
}

/// A function whose third argument is a count of bytes, as `memcpy` has it.
pub type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize);

/// The function that copies in user space, for a uprobe.
pub const USER_COPY: Copy = copytrace_user_copy;

/// Copies a byte: a uprobe's first hit takes a page fault, for the page the kernel steps it in.
pub fn copy_once() {
    let (mut to, from) = (0, 1);
    // SAFETY: both are one byte long.
    unsafe { copytrace_user_copy(&raw mut to, &raw const from, 1) };
    // Looked at, so that the compiler does not leave the call out.
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
