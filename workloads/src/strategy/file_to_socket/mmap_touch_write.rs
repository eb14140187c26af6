//! As `mmap-write`, but the program reads each message first, as a broker that filters does: the page
//! faults come from user mode.

use std::{os::fd::BorrowedFd, ptr};

use rustix::mm::MapFlags;

use super::mapped::Mapped;
use crate::{
    Result, Route,
    counts::CallCounts,
    page,
    protocol::Service,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "mmap-touch-write",
    summary: "as mmap-write, but the program reads a byte of every page before its write()",
    needs: "any Linux",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["mmap", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let page = page::size();
    let send = move |socket: BorrowedFd<'_>, message: &[u8], counts: &mut CallCounts| {
        touch(message, page);
        calls::write_all(socket, message, counts)
    };
    Ok(Box::new(Mapped::new(job, MapFlags::SHARED, send)))
}

/// Reads a byte of every page of the message.
fn touch(message: &[u8], page: usize) {
    // Bytes a page apart hit every page, except the last one if the message ends early in it.
    for byte in message.iter().step_by(page).chain(message.last()) {
        // SAFETY: a reference is valid to read from.
        unsafe { ptr::read_volatile(byte) };
    }
}
