//! The contract of a strategy: its description, its input, and its duties.

use std::{io, os::fd::BorrowedFd, path::Path};

use super::counterpart::{Counterpart, Remote};
use crate::{Error, Result, Route, Shape, counts::CallCounts, protocol::Answer};

/// One way to move the messages of a file: from the file itself, or from memory that was filled from it
/// outside the window.
#[derive(Debug)]
pub struct Strategy {
    /// Its name on the command line and in every report.
    pub name: &'static str,
    /// Its description, in one line.
    pub summary: &'static str,
    /// The kernel it needs, such as `Linux 4.14`.
    pub needs: &'static str,
    /// The kinds of source and destination.
    pub route: Route,
    /// The far end that is set up before.
    pub counterpart: Counterpart,
    /// The system calls of one message, in their order. Only where there are several, and the order is
    /// always the same.
    pub calls: &'static [&'static str],
    /// Set-up, outside the window: the work that a broker does once, and not per message. If this kernel,
    /// disk or message size does not permit it: [`Error::Unsupported`].
    pub prepare: for<'a> fn(&Job<'a>) -> Result<Box<dyn Transfer + 'a>>,
}

impl Strategy {
    /// Whether the measured process receives.
    pub fn receives(&self) -> bool {
        self.counterpart.sends()
    }
}

/// The input of a strategy: the payload and its destination.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The payload, exactly as long as all messages, at its beginning.
    pub file: BorrowedFd<'a>,
    /// The connection to the consumer, or the socket whose datagrams go there, blocking; on a route
    /// without one, the empty destination file, or this end of the channel to the other process.
    pub socket: BorrowedFd<'a>,
    /// The other process's memory, on a route with another process.
    pub remote: Option<Remote>,
    /// The directory for other files.
    pub dir: &'a Path,
    /// The number of messages, and their length.
    pub shape: Shape,
}

/// A strategy that is set up. Its remains, such as a mapping, are released when it is dropped, outside
/// the window.
pub trait Transfer {
    /// Sends every message, inside the window: only the strategy's own system calls, hence no allocation,
    /// no output, no clock.
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure>;

    /// The bytes it received, if the strategy receives. Asked after the window.
    fn received(&self) -> Result<Option<Answer>> {
        Ok(None)
    }
}

/// The reason why a transfer stopped. Small and without an allocation, because it is made inside the
/// window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file ended before the messages did.
    EndOfFile,
    /// A system call failed.
    Call {
        /// Its name.
        name: &'static str,
        /// The kernel's error.
        errno: rustix::io::Errno,
    },
}

impl Failure {
    /// The same as an error of the set-up, outside the window.
    pub fn outside(self, tried: &str) -> Error {
        match self {
            Self::EndOfFile => Error::os(tried)(io::ErrorKind::UnexpectedEof),
            Self::Call { errno, .. } => Error::os(tried)(errno),
        }
    }
}
