//! `sendfile`: the kernel sends the file's pages itself.

use super::{Failure, Job, Strategy, Transfer, calls};
use crate::{Result, tally::Tally};

pub struct Sendfile;

impl Strategy for Sendfile {
    fn name(&self) -> &'static str {
        "sendfile"
    }

    fn summary(&self) -> &'static str {
        "sendfile() each message from the file to the socket"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.2"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        for _ in 0..shape.messages() {
            calls::sendfile_all(socket, file, shape.message_len(), tally)?;
        }
        Ok(())
    }
}
