//! A pipe between a source of pages and the socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::{calls, contract::Failure};
use crate::{Error, Result, counts::CallCounts, page};

/// The largest size a pipe is given.
const LARGEST: usize = 16 << 20;
/// The largest size for an unprivileged user, by default (`fs.pipe-max-size`).
const UNPRIVILEGED: usize = 1 << 20;

/// Both ends of a pipe.
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    /// A pipe that holds a message of `message` bytes, or less where that is not permitted.
    pub fn holding(message: usize) -> Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::os("make a pipe"))?;
        let wanted = capacity_for(message);
        // The size is a hint: a smaller pipe costs more calls, which are counted.
        let _ = [wanted, wanted.min(UNPRIVILEGED)]
            .into_iter()
            .find(|size| fcntl_setpipe_size(&writer, *size).is_ok());
        Ok(Self { reader, writer })
    }

    /// The end to read from.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// The ends: to read from, and to write to.
    pub fn into_ends(self) -> (OwnedFd, OwnedFd) {
        (self.writer, self.reader)
    }

    /// The end to write to.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Sends a message through the pipe: `fill` gets the number of bytes that went in before, puts some
    /// of the rest in, and returns how many.
    pub fn pass(
        &self,
        socket: BorrowedFd<'_>,
        bytes: usize,
        counts: &mut CallCounts,
        mut fill: impl FnMut(usize, &mut CallCounts) -> Result<usize, Failure>,
    ) -> Result<(), Failure> {
        let mut filled = 0;
        while filled < bytes {
            let some = fill(filled, counts)?;
            if some == 0 {
                return Err(Failure::EndOfFile);
            }
            counts.partial_reads += u64::from(some < bytes - filled);
            filled += some;
            let more = if filled < bytes { SpliceFlags::MORE } else { SpliceFlags::empty() };
            self.drain(socket, some, more, counts)?;
        }
        Ok(())
    }

    fn drain(
        &self,
        socket: BorrowedFd<'_>,
        bytes: usize,
        flags: SpliceFlags,
        counts: &mut CallCounts,
    ) -> Result<(), Failure> {
        let mut rest = bytes;
        while rest > 0 {
            let sent = calls::counted("splice", counts, || {
                splice(&self.reader, None, socket, None, rest, flags)
            })?;
            calls::note_sent(sent, rest, counts);
            rest -= sent;
        }
        Ok(())
    }
}

/// A pipe holds pages: a message that begins in the middle of one may touch one more.
fn capacity_for(message: usize) -> usize {
    let page = page::size();
    let pages = message.div_ceil(page) + usize::from(!message.is_multiple_of(page));
    pages.saturating_mul(page).min(LARGEST)
}

#[cfg(test)]
mod tests {
    use rustix::pipe::fcntl_getpipe_size;

    use super::*;

    #[test]
    fn a_message_fits() {
        let pipe = Pipe::holding(64 << 10).unwrap();
        assert!(fcntl_getpipe_size(pipe.writer()).unwrap() >= 64 << 10);
        let page = page::size();
        assert_eq!(capacity_for(1), 2 * page);
        assert_eq!(capacity_for(page), page);
        assert_eq!(capacity_for(usize::MAX), LARGEST);
    }
}
