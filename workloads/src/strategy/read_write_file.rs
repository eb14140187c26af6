//! `read` into a buffer, `write` out of it to another file.

use super::{Job, Route, Strategy, Transfer, read_write::ReadWrite};
use crate::Result;

pub struct ReadWriteFile;

impl Strategy for ReadWriteFile {
    fn name(&self) -> &'static str {
        "read-write-file"
    }

    fn summary(&self) -> &'static str {
        "read() each message into a buffer, write() it to another file"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::FileToFile
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        ReadWrite.prepare(job)
    }
}
