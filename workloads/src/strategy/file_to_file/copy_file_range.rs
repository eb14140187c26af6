//! `copy_file_range`: the kernel copies to another file itself, or has both share the disk's blocks
//! where the file system can.

use rustix::fs::copy_file_range;

use crate::{
    Error, Result, Route,
    counts::CallCounts,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "copy-file-range",
    summary: "copy_file_range() each message from the file to another file",
    needs: "Linux 4.5",
    route: Route::FileToFile,
    counterpart: Counterpart::File,
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    // A request of 0 bytes still checks whether the call is possible.
    copy_file_range(job.file, None, job.socket, None, 0).map_err(Error::refused(
        "copy_file_range() here",
        "choose a directory on another file system with --dir",
    ))?;
    Ok(Box::new(Prepared { job: *job }))
}

struct Prepared<'a> {
    job: Job<'a>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket: to, shape, .. } = self.job;
        for _ in 0..shape.messages() {
            let mut rest = shape.message_len();
            while rest > 0 {
                let copied = calls::counted("copy_file_range", counts, || {
                    copy_file_range(file, None, to, None, rest)
                })?;
                if copied == 0 {
                    return Err(Failure::EndOfFile);
                }
                calls::note_sent(copied, rest, counts);
                rest -= copied;
            }
        }
        Ok(())
    }
}
