//! The far end of a transfer: what is there before the window, and what arrived there after it.

use std::{io, net::SocketAddr, os::fd::BorrowedFd};

use crate::{Error, Result, protocol::Answer, strategy::counterpart::Remote};

/// What is known to have arrived.
pub struct Arrived {
    /// Bytes.
    pub bytes: u64,
    /// blake3 of them, if somebody has them.
    pub hash: Option<blake3::Hash>,
}

impl From<Answer> for Arrived {
    fn from(answer: Answer) -> Self {
        Self { bytes: answer.bytes, hash: Some(answer.hash) }
    }
}

/// What the bytes go to, by route.
pub trait FarEnd {
    /// What the strategy is given to write to.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The socket of the measured process whose packets are its own, if there is one.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Both ends of that socket: its own address, and the other's.
    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>> {
        Ok(None)
    }

    /// The process at the far end that is a child of this one, and its memory.
    fn remote(&self) -> Option<Remote> {
        None
    }

    /// Tells it that the window is about to open, if it is the one that sends.
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

    /// Bytes that did not have to be moved, because both files have the same blocks on the disk.
    fn shared_bytes(&self) -> u64 {
        0
    }

    /// What it means that fewer bytes arrived than were sent, or more.
    fn lost(&self, sent: u64, received: u64) -> Error {
        Error::Lost { sent, received }
    }

    /// What a failed call says about the far end.
    fn broken(&self, call: &str, cause: io::Error, sent: u64, total: u64) -> Error {
        Error::os(format!("{call} after {sent} of {total} bytes"))(cause)
    }
}
