//! `splice` from the socket into a pipe, and from the pipe into a file.

use std::{fs::File, os::fd::AsFd};

use rustix::pipe::SpliceFlags;

use super::{Failure, Job, Route, Strategy, Transfer, calls, pipe::Pipe, receive};
use crate::{
    Error, Result, payload,
    protocol::{Answer, Service},
    tally::Tally,
};

pub struct SpliceRecv;

impl Strategy for SpliceRecv {
    fn name(&self) -> &'static str {
        "splice-recv"
    }

    fn summary(&self) -> &'static str {
        "splice() each message from the socket into a pipe, and from the pipe into a file"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.6.17"
    }

    fn route(&self) -> Route {
        Route::Receive
    }

    fn service(&self) -> Service {
        Service::Send
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        let file = payload::empty(job.dir, job.shape)?;
        let pipe = Pipe::holding(job.shape.message_len())?;
        Ok(Box::new(Prepared { job: *job, file, pipe }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    file: File,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Job { socket, shape, .. } = self.job;
        for _ in 0..shape.messages() {
            let length = shape.message_len();
            self.pipe.pass(self.file.as_fd(), length, tally, |done, tally| {
                let writer = self.pipe.writer();
                let some = calls::counted("splice", tally, || {
                    let (rest, flags) = (length - done, SpliceFlags::empty());
                    rustix::pipe::splice(socket, None, writer, None, rest, flags)
                })?;
                if some == 0 { Err(receive::closed("splice")) } else { Ok(some) }
            })?;
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        Answer::of_file(&self.file).map(Some).map_err(Error::os("read the file that was written"))
    }
}
