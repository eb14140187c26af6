//! The system calls of the strategies: made directly, finished when partial, and counted.

use std::{io::IoSlice, os::fd::BorrowedFd, time::Duration};

use rustix::io::{self, Errno};

use super::contract::Failure;
use crate::counts::CallCounts;

/// The longest wait of one call for the consumer. A stalled transfer is noticed after a few calls, if
/// each still got some bytes into a buffer.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Fills the buffer from the file.
pub fn read_full(
    file: BorrowedFd<'_>,
    buffer: &mut [u8],
    counts: &mut CallCounts,
) -> Result<(), Failure> {
    fill(buffer, counts, |_, rest, counts| counted("read", counts, || io::read(file, &mut *rest)))
}

/// Fills the buffer from the file's bytes at `offset`.
pub fn pread_full(
    file: BorrowedFd<'_>,
    buffer: &mut [u8],
    offset: u64,
    counts: &mut CallCounts,
) -> Result<(), Failure> {
    fill(buffer, counts, |done, rest, counts| {
        counted("pread64", counts, || io::pread(file, &mut *rest, offset + done as u64))
    })
}

/// Calls `read` until the buffer is full, with the bytes done before and the rest.
fn fill(
    buffer: &mut [u8],
    counts: &mut CallCounts,
    mut read: impl FnMut(usize, &mut [u8], &mut CallCounts) -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        let asked = rest.len();
        let some = read(done, rest, counts)?;
        if some == 0 {
            return Err(Failure::EndOfFile);
        }
        counts.partial_reads += u64::from(some < asked);
        done += some;
    }
    Ok(())
}

/// Writes all of the bytes to the socket.
pub fn write_all(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    counts: &mut CallCounts,
) -> Result<(), Failure> {
    pass_all("write", bytes, counts, |rest| io::write(socket, rest))
}

/// Repeats a call with the rest of the bytes, until all are taken. The call returns how many it took.
pub fn pass_all(
    name: &'static str,
    bytes: &[u8],
    counts: &mut CallCounts,
    mut call: impl FnMut(&[u8]) -> io::Result<usize>,
) -> Result<(), Failure> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let passed = counted(name, counts, || call(rest))?;
        note_sent(passed, rest.len(), counts);
        rest = &rest[passed..];
    }
    Ok(())
}

/// Writes all bytes of both parts to the socket, as one message.
pub fn writev_all(
    socket: BorrowedFd<'_>,
    parts: [&[u8]; 2],
    counts: &mut CallCounts,
) -> Result<(), Failure> {
    let mut parts = parts.map(IoSlice::new);
    let mut rest = &mut parts[..];
    while !rest.is_empty() {
        let asked = rest.iter().map(|part| part.len()).sum();
        let written = counted("writev", counts, || io::writev(socket, rest))?;
        note_sent(written, asked, counts);
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Sends the file's next bytes to the socket.
pub fn sendfile_all(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    bytes: usize,
    counts: &mut CallCounts,
) -> Result<(), Failure> {
    let mut rest = bytes;
    while rest > 0 {
        let sent = counted("sendfile", counts, || rustix::fs::sendfile(socket, file, None, rest))?;
        if sent == 0 {
            return Err(Failure::EndOfFile);
        }
        note_sent(sent, rest, counts);
        rest -= sent;
    }
    Ok(())
}

/// Makes a call, and repeats it if a signal interrupts it.
pub fn counted<T>(
    name: &'static str,
    counts: &mut CallCounts,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, Failure> {
    loop {
        counts.call(name);
        match call() {
            Err(Errno::INTR) => counts.interrupted += 1,
            result => return result.map_err(|errno| Failure::Call { name, errno }),
        }
    }
}

/// Counts the bytes that a call handed to the socket.
pub fn note_sent(sent: usize, asked: usize, counts: &mut CallCounts) {
    counts.sent += sent as u64;
    counts.partial_writes += u64::from(sent < asked);
}
