//! `splice` from the file into a pipe, and from the pipe to the socket.

use rustix::pipe::SpliceFlags;

use super::{Failure, Job, Strategy, Transfer, calls, pipe::Pipe};
use crate::{Result, tally::Tally};

pub struct Splice;

impl Strategy for Splice {
    fn name(&self) -> &'static str {
        "splice"
    }

    fn summary(&self) -> &'static str {
        "splice() each message from the file into a pipe, and from the pipe to the socket"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.6.17"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, pipe: Pipe::holding(job.shape.message_len())? }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let pipe = &self.pipe;
        for _ in 0..shape.messages() {
            let length = shape.message_len();
            pipe.pass(socket, length, tally, |done, tally| {
                calls::counted("splice", tally, || {
                    let (rest, flags) = (length - done, SpliceFlags::empty());
                    rustix::pipe::splice(file, None, pipe.writer(), None, rest, flags)
                })
            })?;
        }
        Ok(())
    }
}
