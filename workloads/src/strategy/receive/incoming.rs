//! Shared parts of the receiving strategies.

use std::os::fd::BorrowedFd;

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use crate::{
    counts::CallCounts,
    strategy::{calls, contract::Failure},
};

/// Receives into the buffer and returns the number of bytes; the end of the stream is a failure.
pub fn some(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: RecvFlags,
    counts: &mut CallCounts,
) -> Result<usize, Failure> {
    let name = "recvfrom";
    let asked = buffer.len();
    let (received, _) = calls::counted(name, counts, || recv(socket, &mut *buffer, flags))?;
    if received == 0 {
        return Err(closed(name));
    }
    calls::note_sent(received, asked, counts);
    Ok(received)
}

/// The other end closed the connection before all bytes had arrived.
pub fn closed(name: &'static str) -> Failure {
    Failure::Call { name, errno: Errno::CONNRESET }
}
