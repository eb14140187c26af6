//! Copy each message into memory shared with another process, which reads it in place.

use crate::{
    Result, Route,
    counts::CallCounts,
    shared::Shared,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::{Channel, Counterpart},
        memory::Memory,
    },
    user_copy::copytrace_user_copy,
};

pub static STRATEGY: Strategy = Strategy {
    name: "shared-memory",
    summary: "copy each message into shared memory as memcpy() does, the other process reads it there",
    needs: "Linux 3.17",
    route: Route::ProcessToProcess,
    counterpart: Counterpart::Process(Channel::SharedMemory),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let shared = Shared::map(job.socket, job.shape.len())?;
    let payload = Memory::with_payload(job)?;
    Ok(Box::new(Prepared { message: job.shape.message_len(), payload, shared }))
}

struct Prepared {
    message: usize,
    payload: Memory,
    shared: Shared,
}

impl Transfer for Prepared {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        for (index, message) in self.payload.chunks_exact(self.message).enumerate() {
            // SAFETY: the shared memory is as long as the payload, and no part of it; what is
            // written was not published.
            unsafe {
                let to = self.shared.payload().add(index * message.len());
                copytrace_user_copy(to, message.as_ptr(), message.len());
            }
            calls::note_sent(message.len(), message.len(), counts);
            self.shared.publish(counts.sent);
        }
        Ok(())
    }
}
