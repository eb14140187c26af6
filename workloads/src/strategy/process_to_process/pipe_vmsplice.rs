//! `vmsplice` pages of memory into a pipe that another process reads.

use rustix::pipe::{IoSliceRaw, SpliceFlags, vmsplice};

use crate::{
    Result, Route,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::{Channel, Counterpart},
        memory::FromMemory,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "pipe-vmsplice",
    summary: "vmsplice() pages from memory into a pipe as a gift, the other process read()s them",
    needs: "Linux 2.6.17",
    route: Route::ProcessToProcess,
    counterpart: Counterpart::Process(Channel::Pipe),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    FromMemory::prepare(job, |job, message, counts| {
        calls::pass_all("vmsplice", message, counts, |rest| {
            let pages = [IoSliceRaw::from_slice(rest)];
            // SAFETY: nobody writes to the payload, before or after it is read.
            unsafe { vmsplice(job.socket, &pages, SpliceFlags::GIFT) }
        })
    })
}
