//! `mmap` the file once, `write` each message out of the mapping.

use rustix::mm::MapFlags;

use super::{Job, Strategy, Transfer, calls, mapped::Mapped};
use crate::Result;

pub struct MmapWrite;

impl Strategy for MmapWrite {
    fn name(&self) -> &'static str {
        "mmap-write"
    }

    fn summary(&self) -> &'static str {
        "mmap() the file once, write() each message out of the mapping"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Mapped::new(job, MapFlags::SHARED, calls::write_all)))
    }
}
