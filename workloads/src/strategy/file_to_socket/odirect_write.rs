//! `read` past the page cache (`O_DIRECT`), `write` from the buffer.

use std::{
    fs::{File, OpenOptions},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
};

use crate::{
    Disk, Error, Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::Memory,
    },
};

/// The smallest block of a disk, and the unit of its reads.
const SMALLEST_BLOCK: usize = 512;

const ADVICE: &str = "choose a message size that is a multiple of the disk's blocks, such as 4KiB, and a directory \
     on a disk with --dir";

pub static STRATEGY: Strategy = Strategy {
    name: "odirect-write",
    summary: "read() each message past the page cache with O_DIRECT, write() it to the socket",
    needs: "Linux 2.4.10",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["read", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let file = reopen(job)?;
    let mut buffer = Memory::new(job.shape.message_len())?;
    try_once(&file, &mut buffer)?;
    Ok(Box::new(Prepared { job: *job, file, buffer }))
}

/// Opens the file again: the flag must not change other readers.
fn reopen(job: &Job<'_>) -> Result<File> {
    let disk = Disk::of(job.file)?;
    if disk.device.is_none() {
        // Such a file system may accept the flag, and copy all the same.
        let reason =
            format!("O_DIRECT reads from a disk, and the payload lies on {disk}: {ADVICE}");
        return Err(Error::Unsupported { reason });
    }
    let path = format!("/proc/self/fd/{}", job.file.as_raw_fd());
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .map_err(Error::refused(format!("open a file with O_DIRECT on {disk}"), ADVICE))
}

/// The file system decides whether a message can be read this way.
fn try_once(file: &File, buffer: &mut [u8]) -> Result<()> {
    let tried = format!("read {} bytes with O_DIRECT", buffer.len());
    let refused = Error::refused(tried, ADVICE);
    if !buffer.len().is_multiple_of(SMALLEST_BLOCK) {
        return Err(refused(rustix::io::Errno::INVAL));
    }
    rustix::io::pread(file, buffer, 0).map(drop).map_err(refused)
}

struct Prepared<'a> {
    job: Job<'a>,
    file: File,
    buffer: Memory,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        for _ in 0..self.job.shape.messages() {
            calls::read_full(self.file.as_fd(), &mut self.buffer, counts)?;
            calls::write_all(self.job.socket, &self.buffer, counts)?;
        }
        Ok(())
    }
}
