//! `send` into a socket of this machine, from which another process receives.

use rustix::net::{SendFlags, send};

use super::{Channel, Job, Route, Strategy, Transfer, calls, memory::FromMemory};
use crate::Result;

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
        FromMemory::prepare(job, |job, message, tally| {
            calls::pass_all("sendto", message, tally, |rest| {
                send(job.socket, rest, SendFlags::empty())
            })
        })
    }
}
