//! Memory of the strategies: the payload's file mapped, and buffers of whole pages.

use std::{
    ffi::c_void,
    ops::{Deref, DerefMut},
    os::fd::BorrowedFd,
    ptr, slice,
};

use rustix::mm::{MapFlags, ProtFlags};

use super::{
    calls,
    contract::{Failure, Job, Transfer},
};
use crate::{Error, Result, counts::CallCounts};

/// A mapping, unmapped when this is dropped.
pub struct Region {
    /// Its first byte.
    pub start: *mut c_void,
    /// Bytes of it.
    pub length: usize,
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `mmap` gave it, and nobody holds a part of it any longer. It cannot fail with the
        // range `mmap` gave.
        let _ = unsafe { rustix::mm::munmap(self.start, self.length) };
    }
}

/// A file mapped for reading.
pub struct Mapping(Region);

impl Mapping {
    /// Maps it inside the window: the way of mapping belongs to the strategy.
    pub fn new(
        file: BorrowedFd<'_>,
        length: usize,
        flags: MapFlags,
        counts: &mut CallCounts,
    ) -> Result<Self, Failure> {
        let start = calls::counted("mmap", counts, || {
            // SAFETY: the kernel chooses an address where nothing is.
            unsafe { rustix::mm::mmap(ptr::null_mut(), length, ProtFlags::READ, flags, file, 0) }
        })?;
        Ok(Self(Region { start, length }))
    }

    /// The content of the file.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has this length and lives as long as `self`; the payload's file has
        // no name, so nobody else writes to it or cuts it off.
        unsafe { slice::from_raw_parts(self.0.start.cast(), self.0.length) }
    }
}

/// A file mapped for writing: what is written is in the file.
pub struct WritableMapping(Region);

impl WritableMapping {
    /// Maps the first `length` bytes, which the file must have.
    pub fn new(
        file: BorrowedFd<'_>,
        length: usize,
        counts: &mut CallCounts,
    ) -> Result<Self, Failure> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let start = calls::counted("mmap", counts, || {
            // SAFETY: the kernel chooses an address where nothing is.
            unsafe { rustix::mm::mmap(ptr::null_mut(), length, access, MapFlags::SHARED, file, 0) }
        })?;
        Ok(Self(Region { start, length }))
    }

    /// Its first byte.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.start.cast()
    }
}

/// Whole pages of memory, already present: using them takes no page fault.
pub struct Memory(Region);

impl Memory {
    /// `length` bytes, at least one.
    pub fn new(length: usize) -> Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: the kernel chooses an address where nothing is.
        let start = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), length, access, flags) };
        let start = start.map_err(Error::os(format!("take {length} bytes of memory")))?;
        Ok(Self(Region { start, length }))
    }

    /// The whole payload. The file's position does not change.
    pub fn with_payload(job: &Job<'_>) -> Result<Self> {
        let mut memory = Self::new(job.shape.len())?;
        calls::pread_full(job.file, &mut memory, 0, &mut CallCounts::default())
            .map_err(|failure| failure.outside("read the payload"))?;
        Ok(memory)
    }
}

/// Sends one message in the way of a strategy.
type Pass = fn(&Job<'_>, &[u8], &mut CallCounts) -> Result<(), Failure>;

/// A transfer of the payload from memory, message by message.
pub struct FromMemory<'a> {
    job: Job<'a>,
    payload: Memory,
    pass: Pass,
}

impl<'a> FromMemory<'a> {
    /// The transfer, with the payload already in memory.
    pub fn prepare(job: &Job<'a>, pass: Pass) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Self { job: *job, payload: Memory::with_payload(job)?, pass }))
    }
}

impl Transfer for FromMemory<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let mut messages = self.payload.chunks_exact(self.job.shape.message_len());
        messages.try_for_each(|message| (self.pass)(&self.job, message, counts))
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory has this length and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.0.start.cast(), self.0.length) }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has it.
        unsafe { slice::from_raw_parts_mut(self.0.start.cast(), self.0.length) }
    }
}
