//! `mmap` the file once, copy each message to the heap, `write` it from there: RocketMQ's default
//! (`transferMsgByHeap`).

use std::os::fd::BorrowedFd;

use rustix::mm::MapFlags;

use super::mapped::Mapped;
use crate::{
    Result, Route,
    counts::CallCounts,
    page::touched_buffer,
    protocol::Service,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
    user_copy::copytrace_user_copy,
};

pub static STRATEGY: Strategy = Strategy {
    name: "mmap-heap-write",
    summary: "as mmap-write, but each message is copied to the heap before its write(): RocketMQ's default",
    needs: "any Linux",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["mmap", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let mut heap = touched_buffer(job.shape.message_len());
    let send = move |socket: BorrowedFd<'_>, message: &[u8], counts: &mut CallCounts| {
        // SAFETY: both have the length of one message, and the heap is no part of the mapping.
        unsafe { copytrace_user_copy(heap.as_mut_ptr(), message.as_ptr(), message.len()) };
        calls::write_all(socket, &heap, counts)
    };
    Ok(Box::new(Mapped::new(job, MapFlags::SHARED, send)))
}
