//! `mmap` the file once, `write` each message out of the mapping.

use std::{os::fd::BorrowedFd, ptr, slice};

use rustix::mm::{MapFlags, ProtFlags};

use super::{Failure, Job, Strategy, Transfer, calls};
use crate::{Result, tally::Tally};

pub struct MmapWrite;

impl Strategy for MmapWrite {
    fn name(&self) -> &'static str {
        "mmap-write"
    }

    fn summary(&self) -> &'static str {
        "mmap() the file once, write() each message out of the mapping"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, mapping: None }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    /// Made inside the window, and kept so that it ends outside.
    mapping: Option<Mapping>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Job { file, socket, shape } = self.job;
        let mapping = self.mapping.insert(Mapping::new(file, shape.len(), tally)?);
        for message in mapping.bytes().chunks_exact(shape.message_len()) {
            calls::write_all(socket, message, tally)?;
        }
        Ok(())
    }
}

/// A file in memory, to be read only.
struct Mapping {
    start: *mut std::ffi::c_void,
    length: usize,
}

impl Mapping {
    fn new(file: BorrowedFd<'_>, length: usize, tally: &mut Tally) -> Result<Self, Failure> {
        let start = calls::counted("mmap", tally, || {
            // SAFETY: the kernel chooses an address where nothing is.
            unsafe {
                rustix::mm::mmap(
                    ptr::null_mut(),
                    length,
                    ProtFlags::READ,
                    MapFlags::SHARED,
                    file,
                    0,
                )
            }
        })?;
        Ok(Self { start, length })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has this length and lives as long as `self`; the payload's file has
        // no name, so nobody else writes to it or cuts it off.
        unsafe { slice::from_raw_parts(self.start.cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody holds a part of it any longer. It cannot fail with
        // the range `mmap` gave.
        let _ = unsafe { rustix::mm::munmap(self.start, self.length) };
    }
}
