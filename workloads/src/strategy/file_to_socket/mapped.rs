//! Shared parts of the strategies that map the file.

use std::os::fd::BorrowedFd;

use rustix::mm::MapFlags;

use crate::{
    counts::CallCounts,
    strategy::{
        contract::{Failure, Job, Transfer},
        memory::Mapping,
    },
};

/// Maps the file once, inside the window, and has `send` send each message from the mapping.
pub struct Mapped<'a, S> {
    job: Job<'a>,
    flags: MapFlags,
    send: S,
    /// Kept, so that it is unmapped outside the window.
    mapping: Option<Mapping>,
}

impl<'a, S> Mapped<'a, S>
where
    S: FnMut(BorrowedFd<'_>, &[u8], &mut CallCounts) -> Result<(), Failure>,
{
    pub fn new(job: &Job<'a>, flags: MapFlags, send: S) -> Self {
        Self { job: *job, flags, send, mapping: None }
    }
}

impl<S> Transfer for Mapped<'_, S>
where
    S: FnMut(BorrowedFd<'_>, &[u8], &mut CallCounts) -> Result<(), Failure>,
{
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let mapping = Mapping::new(file, shape.len(), self.flags, counts)?;
        let mapping = self.mapping.insert(mapping);
        for message in mapping.bytes().chunks_exact(shape.message_len()) {
            (self.send)(socket, message, counts)?;
        }
        Ok(())
    }
}
