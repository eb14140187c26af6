//! `write` into a pipe that another process reads.

use super::{Channel, Job, Route, Strategy, Transfer, write::Write};
use crate::Result;

pub struct ToPipe;

impl Strategy for ToPipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn summary(&self) -> &'static str {
        "write() each message from memory into a pipe, the other process read()s it"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::ProcessToProcess
    }

    fn channel(&self) -> Channel {
        Channel::Pipe
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Write.prepare(job)
    }
}
