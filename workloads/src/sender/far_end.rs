//! The far end of a transfer: its state before the window, and the bytes that arrived.

use std::{io, net::SocketAddr, os::fd::BorrowedFd};

use crate::{Error, Result, protocol::Answer, strategy::counterpart::Remote};

/// The bytes that arrived, and their hash.
pub struct Arrived {
    /// Bytes.
    pub bytes: u64,
    /// blake3 of the bytes, if the far end has them.
    pub hash: Option<blake3::Hash>,
}

impl From<Answer> for Arrived {
    fn from(answer: Answer) -> Self {
        Self { bytes: answer.bytes, hash: Some(answer.hash) }
    }
}

/// The destination of the bytes, by route.
pub trait FarEnd {
    /// The descriptor that the strategy writes to.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The socket of the measured process whose packets are counted, if there is one.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Both addresses of that socket: the process's, and the other end's.
    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>> {
        Ok(None)
    }

    /// The child of this process at the far end, and its memory.
    fn remote(&self) -> Option<Remote> {
        None
    }

    /// Tells the far end that the window is about to open, if the far end sends.
    fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Waits until everything that was sent has arrived, where some of it may be under way after the
    /// window.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// What arrived: asked once, when it has.
    fn arrived(&self) -> Result<Arrived>;

    /// Bytes that did not move, because both files share their blocks on the disk.
    fn shared_bytes(&self) -> u64 {
        0
    }

    /// The error if another number of bytes arrived than was sent.
    fn lost(&self, sent: u64, received: u64) -> Error {
        Error::Lost { sent, received }
    }

    /// The error of a failed call to the far end.
    fn broken(&self, call: &str, cause: io::Error, sent: u64, total: u64) -> Error {
        Error::os(format!("{call} after {sent} of {total} bytes"))(cause)
    }
}
