//! `splice` from the socket into a pipe, and from the pipe into a file.

use std::{fs::File, os::fd::AsFd};

use rustix::pipe::SpliceFlags;

use super::incoming;
use crate::{
    Error, Result, Route,
    counts::CallCounts,
    payload,
    protocol::{Answer, Service},
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        pipe::Pipe,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "splice-recv",
    summary: "splice() each message from the socket into a pipe, and from the pipe into a file",
    needs: "Linux 2.6.17",
    route: Route::Receive,
    counterpart: Counterpart::Consumer(Service::Send),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let file = payload::empty(job.dir, job.shape)?;
    let pipe = Pipe::holding(job.shape.message_len())?;
    Ok(Box::new(Prepared { job: *job, file, pipe }))
}

struct Prepared<'a> {
    job: Job<'a>,
    file: File,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { socket, shape, .. } = self.job;
        for _ in 0..shape.messages() {
            let length = shape.message_len();
            self.pipe.pass(self.file.as_fd(), length, counts, |done, counts| {
                let writer = self.pipe.writer();
                let some = calls::counted("splice", counts, || {
                    let (rest, flags) = (length - done, SpliceFlags::empty());
                    rustix::pipe::splice(socket, None, writer, None, rest, flags)
                })?;
                if some == 0 { Err(incoming::closed("splice")) } else { Ok(some) }
            })?;
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        Answer::of_file(&self.file).map(Some).map_err(Error::os("read the file that was written"))
    }
}
