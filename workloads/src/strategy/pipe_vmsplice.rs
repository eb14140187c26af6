//! `vmsplice` pages of memory into a pipe that another process reads.

use rustix::pipe::{IoSliceRaw, SpliceFlags, vmsplice};

use super::{Channel, Job, Route, Strategy, Transfer, calls, memory::FromMemory};
use crate::Result;

pub struct PipeVmsplice;

impl Strategy for PipeVmsplice {
    fn name(&self) -> &'static str {
        "pipe-vmsplice"
    }

    fn summary(&self) -> &'static str {
        "vmsplice() pages from memory into a pipe as a gift, the other process read()s them"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.6.17"
    }

    fn route(&self) -> Route {
        Route::ProcessToProcess
    }

    fn channel(&self) -> Channel {
        Channel::Pipe
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        FromMemory::prepare(job, |job, message, tally| {
            calls::pass_all("vmsplice", message, tally, |rest| {
                let pages = [IoSliceRaw::from_slice(rest)];
                // SAFETY: nobody writes to the payload, before or after it is read.
                unsafe { vmsplice(job.socket, &pages, SpliceFlags::GIFT) }
            })
        })
    }
}
