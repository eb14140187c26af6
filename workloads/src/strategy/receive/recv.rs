//! `recv` each message into memory.

use rustix::net::RecvFlags;

use super::incoming;
use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::{Answer, Service},
    strategy::{
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::Memory,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "recv",
    summary: "recv() each message into memory",
    needs: "any Linux",
    route: Route::Receive,
    counterpart: Counterpart::Consumer(Service::Send),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared { job: *job, memory: Memory::new(job.shape.len())? }))
}

struct Prepared<'a> {
    job: Job<'a>,
    memory: Memory,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        for message in self.memory.chunks_exact_mut(self.job.shape.message_len()) {
            let mut received = 0;
            while received < message.len() {
                let rest = &mut message[received..];
                received += incoming::some(self.job.socket, rest, RecvFlags::WAITALL, counts)?;
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        let bytes = self.memory.len() as u64;
        Ok(Some(Answer { bytes, hash: blake3::hash(&self.memory) }))
    }
}
