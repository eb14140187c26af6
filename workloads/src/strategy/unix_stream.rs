//! `send` into a socket of this machine, from which another process receives.

use rustix::net::{SendFlags, send};

use super::{Channel, Failure, Job, Route, Strategy, Transfer, calls, memory::Memory};
use crate::{Result, tally::Tally};

pub struct UnixStream;

impl Strategy for UnixStream {
    fn name(&self) -> &'static str {
        "unix-stream"
    }

    fn summary(&self) -> &'static str {
        "send() each message from memory into a unix socket, the other process recv()s it"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::ProcessToProcess
    }

    fn channel(&self) -> Channel {
        Channel::UnixStream
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
        let Job { socket, shape, .. } = self.job;
        for message in self.payload.chunks_exact(shape.message_len()) {
            calls::pass_all("sendto", message, tally, |rest| {
                send(socket, rest, SendFlags::empty())
            })?;
        }
        Ok(())
    }
}
