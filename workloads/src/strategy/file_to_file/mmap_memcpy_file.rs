//! `mmap` both files, copy each message from the one mapping to the other in user space.

use rustix::mm::MapFlags;

use crate::{
    Error, Result, Route,
    counts::CallCounts,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::{Mapping, WritableMapping},
    },
    user_copy::copytrace_user_copy,
};

pub static STRATEGY: Strategy = Strategy {
    name: "mmap-memcpy-file",
    summary: "mmap() both files once, copy each message from the one to the other as memcpy() does",
    needs: "any Linux",
    route: Route::FileToFile,
    counterpart: Counterpart::File,
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    // Beyond the end of a file, a mapping has no pages.
    rustix::fs::ftruncate(job.socket, job.shape.bytes())
        .map_err(Error::os("make the file to write to as long as the payload"))?;
    Ok(Box::new(Prepared { job: *job, mappings: None }))
}

struct Prepared<'a> {
    job: Job<'a>,
    /// Kept, so that they are unmapped outside the window. The kernel writes the pages to the disk later,
    /// as after `write`.
    mappings: Option<(Mapping, WritableMapping)>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket: to, shape, .. } = self.job;
        let mappings = (
            Mapping::new(file, shape.len(), MapFlags::SHARED, counts)?,
            WritableMapping::new(to, shape.len(), counts)?,
        );
        let (from, to) = self.mappings.insert(mappings);
        for (index, message) in from.bytes().chunks_exact(shape.message_len()).enumerate() {
            // SAFETY: the mapping to write to is as long as the one to read from, nobody else uses
            // it, and the two are of different files.
            unsafe {
                let to = to.as_mut_ptr().add(index * message.len());
                copytrace_user_copy(to, message.as_ptr(), message.len());
            }
            calls::note_sent(message.len(), message.len(), counts);
        }
        Ok(())
    }
}
