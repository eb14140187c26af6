//! `read` into a buffer, `write` out of it.

use crate::{
    Result, Route,
    counts::CallCounts,
    page::touched_buffer,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "read-write",
    summary: "read() each message into a buffer, write() it to the socket",
    needs: "any Linux",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["read", "write"],
    prepare,
};

pub fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared { job: *job, buffer: touched_buffer(job.shape.message_len()) }))
}

struct Prepared<'a> {
    job: Job<'a>,
    buffer: Vec<u8>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        for _ in 0..self.job.shape.messages() {
            calls::read_full(self.job.file, &mut self.buffer, counts)?;
            calls::write_all(self.job.socket, &self.buffer, counts)?;
        }
        Ok(())
    }
}
