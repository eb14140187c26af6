//! `process_vm_readv`: the receiver reads each message out of the other process's memory.

use std::io;

use rustix::io::Errno;

use crate::{
    Error, Result, Route,
    counts::CallCounts,
    protocol::Answer,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::{Channel, Counterpart, Remote},
        memory::Memory,
    },
};

const NAME: &str = "process_vm_readv";

pub static STRATEGY: Strategy = Strategy {
    name: "process-vm-readv",
    summary: "process_vm_readv() each message out of the other process's memory; measured: the reader",
    needs: "Linux 3.2",
    route: Route::ProcessToProcess,
    counterpart: Counterpart::Process(Channel::ItsMemory),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let remote = job.remote.ok_or_else(|| Error::os(NAME)(Errno::SRCH))?;
    let mut memory = Memory::new(job.shape.len())?;
    fetch(remote, 0, &mut memory[..1]).map_err(Error::refused(
        format!("{NAME}() from a child"),
        "it needs CONFIG_CROSS_MEMORY_ATTACH, and leave to trace a process of one's own",
    ))?;
    Ok(Box::new(Prepared { remote, message: job.shape.message_len(), memory }))
}

struct Prepared {
    remote: Remote,
    message: usize,
    memory: Memory,
}

impl Transfer for Prepared {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let mut offset = 0;
        for message in self.memory.chunks_exact_mut(self.message) {
            let mut rest = message;
            while !rest.is_empty() {
                let read = calls::counted(NAME, counts, || fetch(self.remote, offset, &mut *rest))?;
                if read == 0 {
                    return Err(Failure::EndOfFile);
                }
                calls::note_sent(read, rest.len(), counts);
                offset += read as u64;
                rest = &mut rest[read..];
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<Option<Answer>> {
        let bytes = self.memory.len() as u64;
        Ok(Some(Answer { bytes, hash: blake3::hash(&self.memory) }))
    }
}

/// Fills the buffer, or a part of it, from the other process's payload at `offset`.
fn fetch(remote: Remote, offset: u64, to: &mut [u8]) -> rustix::io::Result<usize> {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let from = (remote.address + offset) as *mut libc::c_void;
    let theirs = libc::iovec { iov_base: from, iov_len: to.len() };
    // SAFETY: the kernel writes within `to`, and checks the other process's addresses.
    let read =
        unsafe { libc::process_vm_readv(remote.pid as libc::pid_t, &local, 1, &theirs, 1, 0) };
    usize::try_from(read)
        .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}
