//! `write` each message from memory: a broker that keeps its messages there.

use super::{Job, Route, Strategy, Transfer, calls, memory::FromMemory};
use crate::Result;

pub struct Write;

impl Strategy for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn summary(&self) -> &'static str {
        "write() each message from memory, which holds the payload before"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::MemoryToSocket
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        FromMemory::prepare(job, |job, message, tally| calls::write_all(job.socket, message, tally))
    }
}
