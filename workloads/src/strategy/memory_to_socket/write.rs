//! `write` each message from memory, as in a broker that keeps its messages there.

use crate::{
    Result, Route,
    protocol::Service,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::FromMemory,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "write",
    summary: "write() each message from memory, which holds the payload before",
    needs: "any Linux",
    route: Route::MemoryToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

pub fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    FromMemory::prepare(job, |job, message, counts| calls::write_all(job.socket, message, counts))
}
