//! `mmap` the file once, `write` each message out of the mapping.

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
    name: "mmap-write",
    summary: "mmap() the file once, write() each message out of the mapping",
    needs: "any Linux",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["mmap", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Mapped::new(job, MapFlags::SHARED, calls::write_all)))
}
