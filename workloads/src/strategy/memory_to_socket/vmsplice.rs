//! `vmsplice` pages of memory into a pipe, and `splice` them to the socket.

use rustix::pipe::{IoSliceRaw, SpliceFlags};

use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::Memory,
        pipe::Pipe,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "vmsplice",
    summary: "vmsplice() pages from memory into a pipe as a gift, splice() them to the socket",
    needs: "Linux 2.6.17",
    route: Route::MemoryToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["vmsplice", "splice"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let payload = Memory::with_payload(job)?;
    let pipe = Pipe::holding(job.shape.message_len())?;
    Ok(Box::new(Prepared { job: *job, payload, pipe }))
}

struct Prepared<'a> {
    job: Job<'a>,
    payload: Memory,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { socket, shape, .. } = self.job;
        let pipe = &self.pipe;
        for message in self.payload.chunks_exact(shape.message_len()) {
            pipe.pass(socket, message.len(), counts, |done, counts| {
                let pages = [IoSliceRaw::from_slice(&message[done..])];
                calls::counted("vmsplice", counts, || {
                    // SAFETY: nobody writes to the payload, before or after it is sent.
                    unsafe { rustix::pipe::vmsplice(pipe.writer(), &pages, SpliceFlags::GIFT) }
                })
            })?;
        }
        Ok(())
    }
}
