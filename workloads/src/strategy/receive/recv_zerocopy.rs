//! `getsockopt(TCP_ZEROCOPY_RECEIVE)`: the kernel maps whole pages of the payload, and receives the rest
//! by copy.

use std::{mem::size_of, os::fd::AsRawFd, ptr};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags},
    net::RecvFlags,
};

use super::incoming;
use crate::{
    Error, Result, Route,
    counts::CallCounts,
    page,
    protocol::{Answer, Service},
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::{Memory, Region},
    },
};

/// `linux/tcp.h`
const TCP_ZEROCOPY_RECEIVE: libc::c_int = 35;

const ADVICE: &str = "it came with Linux 4.18, for TCP only";

pub static STRATEGY: Strategy = Strategy {
    name: "recv-zerocopy",
    summary: "map whole pages of what comes with TCP_ZEROCOPY_RECEIVE, recv() the rest",
    needs: "Linux 4.18",
    route: Route::Receive,
    counterpart: Counterpart::Consumer(Service::SendPages),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let bytes = job.shape.len();
    let length = bytes.next_multiple_of(page::size());
    // SAFETY: the kernel chooses an address where nothing is.
    let start = unsafe {
        let (access, flags) = (ProtFlags::READ, MapFlags::SHARED);
        rustix::mm::mmap(ptr::null_mut(), length, access, flags, job.socket, 0)
    };
    let start = start.map_err(Error::refused("map a socket", ADVICE))?;
    let window = Region { start, length };
    Ok(Box::new(Prepared {
        job: *job,
        window,
        copied: Memory::new(bytes)?,
        // Between two copied pieces there is at least one mapped page.
        pieces: Vec::with_capacity(2 * bytes.div_ceil(page::size()) + 2),
    }))
}

/// Consecutive bytes that arrived in the same way.
struct Piece {
    mapped: bool,
    bytes: usize,
}

struct Prepared<'a> {
    job: Job<'a>,
    /// The mapped pages of the socket, in order.
    window: Region,
    /// The copied bytes, in order.
    copied: Memory,
    /// The order of both in the payload.
    pieces: Vec<Piece>,
}

impl Prepared<'_> {
    fn sum(&self, mapped: bool) -> usize {
        self.pieces.iter().filter(|piece| piece.mapped == mapped).map(|piece| piece.bytes).sum()
    }

    /// Notes a piece. Never allocates: there is room for every piece.
    fn came(&mut self, mapped: bool, bytes: usize) {
        match self.pieces.last_mut() {
            Some(last) if last.mapped == mapped => last.bytes += bytes,
            _ if bytes > 0 => self.pieces.push(Piece { mapped, bytes }),
            _ => {}
        }
    }
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { socket, shape, .. } = self.job;
        let (mut mapped, mut copied) = (0, 0);
        while mapped + copied < shape.len() {
            let rest = shape.len() - mapped - copied;
            calls::counted("poll", counts, || wait(socket.as_raw_fd()))?;
            let mut ask = ZeroCopyReceive {
                address: self.window.start as u64 + mapped as u64,
                length: u32::try_from(rest).unwrap_or(u32::MAX),
                to_copy: 0,
            };
            calls::counted("getsockopt", counts, || ask.of(socket.as_raw_fd()))?;
            let some = ask.length as usize;
            self.came(true, some);
            calls::note_sent(some, some, counts);
            mapped += some;
            let to_copy = (ask.to_copy as usize).min(rest - some);
            if some == 0 || to_copy > 0 {
                // If the kernel says nothing: the end of the stream, or bytes that arrived meanwhile.
                let length = if to_copy > 0 { to_copy } else { rest - some };
                let buffer = &mut self.copied[copied..copied + length];
                let some = incoming::some(socket, buffer, RecvFlags::empty(), counts)?;
                self.came(false, some);
                copied += some;
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        let mut hasher = blake3::Hasher::new();
        let (mut mapped, mut copied) = (0, 0);
        for &Piece { mapped: is_mapped, bytes } in &self.pieces {
            if is_mapped {
                // SAFETY: the kernel mapped as much of it, and nobody writes to what was sent.
                let page = unsafe {
                    std::slice::from_raw_parts(self.window.start.cast::<u8>().add(mapped), bytes)
                };
                hasher.update(page);
                mapped += bytes;
            } else {
                hasher.update(&self.copied[copied..copied + bytes]);
                copied += bytes;
            }
        }
        debug_assert_eq!((mapped, copied), (self.sum(true), self.sum(false)));
        Ok(Some(Answer { bytes: hasher.count(), hash: hasher.finalize() }))
    }
}

/// The first fields of `struct tcp_zerocopy_receive`, which every version of it has.
#[repr(C)]
struct ZeroCopyReceive {
    /// The address to map at.
    address: u64,
    /// The most bytes to map; then the bytes mapped.
    length: u32,
    /// The bytes after that which must be received by copy.
    to_copy: u32,
}

impl ZeroCopyReceive {
    fn of(&mut self, socket: libc::c_int) -> rustix::io::Result<()> {
        let mut length = size_of::<Self>() as libc::socklen_t;
        // SAFETY: the kernel reads and writes `length` bytes of `self`, and maps only within the
        // mapping of the socket.
        let result = unsafe {
            let argument = ptr::from_mut(self).cast();
            let (level, option) = (libc::IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE);
            libc::getsockopt(socket, level, option, argument, &raw mut length)
        };
        done(result).map(drop)
    }
}

/// Waits until there is something to receive.
fn wait(socket: libc::c_int) -> rustix::io::Result<()> {
    let mut poll = libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry is given. As long as a connection may stand still.
    match done(unsafe { libc::poll(&raw mut poll, 1, 10_000) })? {
        0 => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}

fn done(result: libc::c_int) -> rustix::io::Result<libc::c_int> {
    match result {
        -1 => {
            let error = std::io::Error::last_os_error();
            Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        }
        result => Ok(result),
    }
}
