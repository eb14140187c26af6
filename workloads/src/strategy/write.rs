//! `write` each message from memory: a broker that keeps its messages there.

use super::{Failure, Job, Route, Strategy, Transfer, calls, memory::Memory};
use crate::{Result, tally::Tally};

pub struct Write;

impl Strategy for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn summary(&self) -> &'static str {
        "write() each message from memory, which holds the payload before"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::MemoryToSocket
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, payload: Memory::with_payload(job)? }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    payload: Memory,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        for message in self.payload.chunks_exact(self.job.shape.message_len()) {
            calls::write_all(self.job.socket, message, tally)?;
        }
        Ok(())
    }
}
