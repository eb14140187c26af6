//! The ways from a file, or from memory, to a socket. A new one is one new file here, and one line
//! in [`STRATEGIES`]: see `docs/new-strategy.md`.

use std::{io, os::fd::BorrowedFd};

use crate::{Error, Result, Shape, tally::Tally};

mod calls;
mod mapped;
mod memory;
mod mmap_heap_write;
mod mmap_populate_write;
mod mmap_touch_write;
mod mmap_write;
mod odirect_write;
mod pipe;
mod pread_writev;
mod read_write;
mod sendfile;
mod splice;
mod vmsplice;
mod write;

pub use mmap_heap_write::USER_COPY;

/// Every strategy: those of the documents in their order, then others from a file, then those from
/// memory.
pub static STRATEGIES: &[&dyn Strategy] = &[
    &read_write::ReadWrite,
    &mmap_write::MmapWrite,
    &sendfile::Sendfile,
    &pread_writev::PreadWritev,
    &splice::Splice,
    &odirect_write::OdirectWrite,
    &mmap_touch_write::MmapTouchWrite,
    &mmap_populate_write::MmapPopulateWrite,
    &mmap_heap_write::MmapHeapWrite,
    &write::Write,
    &vmsplice::Vmsplice,
];

/// The strategy of this name.
pub fn find(name: &str) -> Result<&'static dyn Strategy> {
    STRATEGIES.iter().copied().find(|strategy| strategy.name() == name).ok_or_else(|| {
        let known: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name()).collect();
        Error::UnknownStrategy { name: name.to_owned(), known: known.join(", ") }
    })
}

/// Writes every strategy with the kernel it needs and a line of explanation.
pub fn write_list(out: &mut dyn io::Write) -> io::Result<()> {
    for strategy in STRATEGIES {
        writeln!(out, "{:<19} {:<13} {}", strategy.name(), strategy.needs(), strategy.summary())?;
    }
    Ok(())
}

/// What to send, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The payload, exactly as long as all messages, at its beginning.
    pub file: BorrowedFd<'a>,
    /// The connection to the consumer, blocking.
    pub socket: BorrowedFd<'a>,
    /// How many messages, and how long.
    pub shape: Shape,
}

/// One way to send the messages of a file to a socket: from the file itself, or from memory that
/// was filled from it outside the window.
pub trait Strategy: Sync {
    /// Its name on the command line and in every report.
    fn name(&self) -> &'static str;

    /// One line on what it does.
    fn summary(&self) -> &'static str;

    /// The kernel it needs, such as `Linux 4.14`.
    fn needs(&self) -> &'static str;

    /// Set-up, outside the window: whatever a broker does once, and not for a message. What this
    /// kernel, disk or message size does not allow is an [`Error::Unsupported`].
    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>>;
}

/// A strategy that is set up. What it leaves behind, such as a mapping, ends when it is dropped,
/// outside the window.
pub trait Transfer {
    /// Sends every message, inside the window: no system call but the strategy's own, so no
    /// allocation, no output, no clock.
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure>;
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
    fn outside(self, tried: &str) -> Error {
        match self {
            Self::EndOfFile => Error::os(tried)(io::ErrorKind::UnexpectedEof),
            Self::Call { errno, .. } => Error::os(tried)(errno),
        }
    }
}

/// Memory for one message that is already there: writing to it takes no page fault.
fn touched_buffer(bytes: usize) -> Vec<u8> {
    // Not zeros: the allocator would take those from the kernel without touching them.
    vec![1; bytes]
}
