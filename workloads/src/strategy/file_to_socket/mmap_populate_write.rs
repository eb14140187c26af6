//! As `mmap-write`, but the kernel maps all pages at once instead of each at its first use.

use rustix::mm::MapFlags;

use super::mapped::Mapped;
use crate::{
    Result, Route,
    protocol::Service,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "mmap-populate-write",
    summary: "as mmap-write, with MAP_POPULATE: every page is mapped before the first write()",
    needs: "Linux 2.5.46",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["mmap", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let flags = MapFlags::SHARED | MapFlags::POPULATE;
    Ok(Box::new(Mapped::new(job, flags, calls::write_all)))
}
