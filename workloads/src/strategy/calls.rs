//! The system calls of the strategies: made directly, finished when partial, and counted.

use std::os::fd::BorrowedFd;

use rustix::io::{self, Errno};

use super::Failure;
use crate::tally::Tally;

/// Fills the buffer from the file.
pub fn read_full(
    file: BorrowedFd<'_>,
    buffer: &mut [u8],
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        let asked = rest.len();
        let read = counted("read", tally, || io::read(file, &mut *rest))?;
        if read == 0 {
            return Err(Failure::EndOfFile);
        }
        tally.partial_reads += u64::from(read < asked);
        done += read;
    }
    Ok(())
}

/// Writes all of the bytes to the socket.
pub fn write_all(socket: BorrowedFd<'_>, bytes: &[u8], tally: &mut Tally) -> Result<(), Failure> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = counted("write", tally, || io::write(socket, rest))?;
        note_sent(written, rest.len(), tally);
        rest = &rest[written..];
    }
    Ok(())
}

/// Sends the file's next bytes to the socket.
pub fn sendfile_all(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    bytes: usize,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut rest = bytes;
    while rest > 0 {
        let sent = counted("sendfile", tally, || rustix::fs::sendfile(socket, file, None, rest))?;
        if sent == 0 {
            return Err(Failure::EndOfFile);
        }
        note_sent(sent, rest, tally);
        rest -= sent;
    }
    Ok(())
}

/// Makes a call, again when a signal interrupted it.
pub fn counted<T>(
    name: &'static str,
    tally: &mut Tally,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, Failure> {
    loop {
        tally.call(name);
        match call() {
            Err(Errno::INTR) => tally.interrupted += 1,
            result => return result.map_err(|errno| Failure::Call { name, errno }),
        }
    }
}

fn note_sent(sent: usize, asked: usize, tally: &mut Tally) {
    tally.sent += sent as u64;
    tally.partial_writes += u64::from(sent < asked);
}
