//! The commit log, mapped into the broker's memory.

use std::{ffi::c_void, fs::File, ptr, slice, sync::OnceLock};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags},
};

use super::{
    log::{LONGEST, Log},
    record::Record,
};
use crate::{Error, Result};

/// A mapped log: mapped at the first access, and unmapped when the broker ends.
#[derive(Debug, Default)]
pub struct Mapping(OnceLock<Result<Region, Errno>>);

#[derive(Debug)]
struct Region(*mut c_void);

// SAFETY: the region is only read, and stays where it is until it is dropped.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Mapping {
    /// The part of `log` on disk, from its beginning, so that an offset is an index. It must be the same
    /// log at every call.
    pub fn of<'a>(&'a self, log: &'a Log) -> Result<&'a [u8]> {
        let region = self.0.get_or_init(|| Region::new(log.file()));
        let region = region.as_ref().map_err(|errno| Error::os("map the log")(*errno))?;
        // SAFETY: the region is longer than any log. Bytes before the durable end are in the file
        // and are never written again or cut off: the log only grows, and it is locked.
        Ok(unsafe { slice::from_raw_parts(region.0.cast(), log.durable() as usize) })
    }

    /// The record of `log` that begins at `offset`; none if none does.
    pub fn record<'a>(&'a self, log: &'a Log, offset: u64) -> Result<Option<Record<'a>>> {
        let bytes = self.of(log)?.get(offset as usize..).unwrap_or_default();
        let record = Record::decode(bytes).ok();
        // Content may look like a record, but the offset in it does not match.
        Ok(record.filter(|record| record.offset == offset))
    }
}

impl Region {
    fn new(file: &File) -> Result<Self, Errno> {
        let length = LONGEST as usize;
        // SAFETY: the kernel chooses an address where nothing is. What lies after the end of the
        // file is not touched before the file has grown over it.
        unsafe {
            rustix::mm::mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0)
        }
        .map(Self)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `mmap` gave it with this length, and nobody borrows from it any longer. It
        // cannot fail with the range `mmap` gave.
        let _ = unsafe { rustix::mm::munmap(self.0, LONGEST as usize) };
    }
}
