//! Memory that two processes share: a page with the number of bytes published, and the payload behind it.

use std::{
    ffi::c_void,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr, slice,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags},
};

use crate::{Error, Result, page};

/// A file in memory for a payload of `bytes` bytes.
pub fn create(bytes: usize) -> Result<OwnedFd> {
    let file = memfd_create("copytrace", MemfdFlags::CLOEXEC).map_err(Error::refused(
        "make memory to share with memfd_create()",
        "it came with Linux 3.17",
    ))?;
    ftruncate(&file, (page::size() + bytes) as u64)
        .map_err(Error::os(format!("take {bytes} bytes of memory to share")))?;
    Ok(file)
}

/// Shared memory, mapped into this process.
pub struct Shared {
    start: *mut c_void,
    bytes: usize,
}

impl Shared {
    /// Maps it, with every page present.
    pub fn map(file: BorrowedFd<'_>, bytes: usize) -> Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        let length = page::size() + bytes;
        // SAFETY: the kernel chooses an address where nothing is.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), length, access, flags, file.as_fd(), 0) };
        Ok(Self { start: start.map_err(Error::os("map the shared memory"))?, bytes })
    }

    /// The beginning of the payload.
    pub fn payload(&self) -> *mut u8 {
        // SAFETY: the mapping has one page more than the payload.
        unsafe { self.start.cast::<u8>().add(page::size()) }
    }

    /// Publishes the first `bytes` of the payload: they do not change any more.
    pub fn publish(&self, bytes: u64) {
        self.published_bytes().store(bytes, Ordering::Release);
    }

    /// The bytes published until now.
    pub fn published(&self) -> &[u8] {
        let published = self.published_bytes().load(Ordering::Acquire);
        let bytes = self.bytes.min(published as usize);
        // SAFETY: within the mapping, and nobody writes to what was published.
        unsafe { slice::from_raw_parts(self.payload(), bytes) }
    }

    fn published_bytes(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins with it, on a page of its own, and lives as long as `self`.
        unsafe { AtomicU64::from_ptr(self.start.cast()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: `mmap` gave it, and nobody holds a part of it any longer. It cannot fail with the
        // range `mmap` gave.
        let _ = unsafe { rustix::mm::munmap(self.start, page::size() + self.bytes) };
    }
}
