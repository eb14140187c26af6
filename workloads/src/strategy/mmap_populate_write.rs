//! As `mmap-write`, but the kernel maps every page at once instead of one after the other as they
//! are used.

use rustix::mm::MapFlags;

use super::{Job, Strategy, Transfer, calls, mapped::Mapped};
use crate::Result;

pub struct MmapPopulateWrite;

impl Strategy for MmapPopulateWrite {
    fn name(&self) -> &'static str {
        "mmap-populate-write"
    }

    fn summary(&self) -> &'static str {
        "as mmap-write, with MAP_POPULATE: every page is mapped before the first write()"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.5.46"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        Ok(Box::new(Mapped::new(job, flags, calls::write_all)))
    }
}
