//! `sendfile` to another file.

use super::{Job, Route, Strategy, Transfer, sendfile::Sendfile};
use crate::Result;

pub struct SendfileFile;

impl Strategy for SendfileFile {
    fn name(&self) -> &'static str {
        "sendfile-file"
    }

    fn summary(&self) -> &'static str {
        "sendfile() each message from the file to another file"
    }

    fn needs(&self) -> &'static str {
        "Linux 2.6.33"
    }

    fn route(&self) -> Route {
        Route::FileToFile
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Sendfile.prepare(job)
    }
}
