//! What a strategy is, what it is given, and what it must do.

use std::{io, os::fd::BorrowedFd, path::Path};

use super::counterpart::{Counterpart, Remote};
use crate::{Error, Result, Route, Shape, protocol::Answer, tally::Tally};

/// One way of the messages of a file to somewhere else: from the file itself, or from memory that was
/// filled from it outside the window.
#[derive(Debug)]
pub struct Strategy {
    /// Its name on the command line and in every report.
    pub name: &'static str,
    /// One line on what it does.
    pub summary: &'static str,
    /// The kernel it needs, such as `Linux 4.14`.
    pub needs: &'static str,
    /// From what to what the bytes go.
    pub route: Route,
    /// What is set up at the far end before.
    pub counterpart: Counterpart,
    /// The system calls of one message, in the order it makes them, where they are of several names and
    /// the order is always the same.
    pub calls: &'static [&'static str],
    /// Set-up, outside the window: whatever a broker does once, and not for a message. What this
    /// kernel, disk or message size does not allow is an [`Error::Unsupported`].
    pub prepare: for<'a> fn(&Job<'a>) -> Result<Box<dyn Transfer + 'a>>,
}

impl Strategy {
    /// Whether the measured process is the one that receives.
    pub fn receives(&self) -> bool {
        self.counterpart.sends()
    }
}

/// What to send, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The payload, exactly as long as all messages, at its beginning.
    pub file: BorrowedFd<'a>,
    /// The connection to the consumer, or the socket whose datagrams go there, blocking; on a route
    /// without one, the file it goes to, which is empty, or this end of the channel to the other
    /// process.
    pub socket: BorrowedFd<'a>,
    /// The other process's memory, on a route with another process.
    pub remote: Option<Remote>,
    /// Where other files are made.
    pub dir: &'a Path,
    /// How many messages, and how long.
    pub shape: Shape,
}

/// A strategy that is set up. What it leaves behind, such as a mapping, ends when it is dropped,
/// outside the window.
pub trait Transfer {
    /// Sends every message, inside the window: no system call but the strategy's own, so no
    /// allocation, no output, no clock.
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure>;

    /// What it received, if it is the one that does. Asked after the window.
    fn received(&self) -> Result<Option<Answer>> {
        Ok(None)
    }
}

/// Why a transfer stopped. Small and without memory of its own: it is made inside the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file ended before the messages did.
    EndOfFile,
    /// A system call failed.
    Call {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        errno: rustix::io::Errno,
    },
}

impl Failure {
    /// As an error of the set-up, outside the window.
    pub fn outside(self, tried: &str) -> Error {
        match self {
            Self::EndOfFile => Error::os(tried)(io::ErrorKind::UnexpectedEof),
            Self::Call { errno, .. } => Error::os(tried)(errno),
        }
    }
}
