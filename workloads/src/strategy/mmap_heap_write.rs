//! `mmap` the file once, copy each message to the heap, `write` it from there: what RocketMQ does by
//! default (`transferMsgByHeap`).

use std::os::fd::BorrowedFd;

use rustix::mm::MapFlags;

use super::{Job, Strategy, Transfer, calls, mapped::Mapped};
use crate::{Result, page::touched_buffer, tally::Tally, user_copy::copytrace_user_copy};

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
