//! `splice` from the file into a pipe, and from the pipe to the socket.

use rustix::pipe::SpliceFlags;

use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        pipe::Pipe,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "splice",
    summary: "splice() each message from the file into a pipe, and from the pipe to the socket",
    needs: "Linux 2.6.17",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared { job: *job, pipe: Pipe::holding(job.shape.message_len())? }))
}

struct Prepared<'a> {
    job: Job<'a>,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let pipe = &self.pipe;
        for _ in 0..shape.messages() {
            let length = shape.message_len();
            pipe.pass(socket, length, counts, |done, counts| {
                calls::counted("splice", counts, || {
                    let (rest, flags) = (length - done, SpliceFlags::empty());
                    rustix::pipe::splice(file, None, pipe.writer(), None, rest, flags)
                })
            })?;
        }
        Ok(())
    }
}
