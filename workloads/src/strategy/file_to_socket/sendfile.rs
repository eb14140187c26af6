//! `sendfile`: the kernel sends the file's pages itself.

use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "sendfile",
    summary: "sendfile() each message from the file to the socket",
    needs: "Linux 2.2",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

pub fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared { job: *job }))
}

struct Prepared<'a> {
    job: Job<'a>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        for _ in 0..shape.messages() {
            calls::sendfile_all(socket, file, shape.message_len(), counts)?;
        }
        Ok(())
    }
}
