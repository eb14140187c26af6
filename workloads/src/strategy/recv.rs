//! `recv` each message into memory.

use rustix::net::RecvFlags;

use super::{Failure, Job, Route, Strategy, Transfer, memory::Memory, receive};
use crate::{
    Result,
    protocol::{Answer, Service},
    tally::Tally,
};

pub struct Recv;

impl Strategy for Recv {
    fn name(&self) -> &'static str {
        "recv"
    }

    fn summary(&self) -> &'static str {
        "recv() each message into memory"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::Receive
    }

    fn service(&self) -> Service {
        Service::Send
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, memory: Memory::new(job.shape.len())? }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    memory: Memory,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        for message in self.memory.chunks_exact_mut(self.job.shape.message_len()) {
            let mut received = 0;
            while received < message.len() {
                let rest = &mut message[received..];
                received += receive::some(self.job.socket, rest, RecvFlags::WAITALL, tally)?;
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        let bytes = self.memory.len() as u64;
        Ok(Some(Answer { bytes, hash: blake3::hash(&self.memory) }))
    }
}
