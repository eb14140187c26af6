//! `read` into a buffer, `write` out of it.

use super::{Failure, Job, Strategy, Transfer, calls};
use crate::{Result, page::touched_buffer, tally::Tally};

pub struct ReadWrite;

impl Strategy for ReadWrite {
    fn name(&self) -> &'static str {
        "read-write"
    }

    fn summary(&self) -> &'static str {
        "read() each message into a buffer, write() it to the socket"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, buffer: touched_buffer(job.shape.message_len()) }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    buffer: Vec<u8>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        for _ in 0..self.job.shape.messages() {
            calls::read_full(self.job.file, &mut self.buffer, tally)?;
            calls::write_all(self.job.socket, &self.buffer, tally)?;
        }
        Ok(())
    }
}
