//! An `io_uring`: several operations for one system call.

use io_uring::{
    IoUring, Probe, cqueue,
    opcode::Read,
    squeue::{self, Flags},
    types::{self, Fd},
};
use rustix::io::Errno;

use crate::{
    Error, Result, Shape,
    counts::CallCounts,
    strategy::{
        calls::{self, STALL_TIMEOUT},
        contract::Failure,
    },
};

/// More than the operations of a message. The completion queue has twice as many entries: for the
/// operations, and for a notification of each buffer.
const ENTRIES: u32 = 16;
/// The most bytes of one operation: `MAX_RW_COUNT` in `linux/fs.h`.
const MOST_BYTES: u64 = 0x7fff_f000;

/// `IORING_NOTIF_USAGE_ZC_COPIED` in `linux/io_uring.h`: the highest bit of a notification's result.
const COPIED: i32 = i32::MIN;

const ADVICE: &str = "the sysctl kernel.io_uring_disabled must be 0, and no seccomp profile of a container may forbid it";

/// A ring whose operations belong to one message at a time.
pub struct Ring(IoUring);

/// The result of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The return value of the system call: negative for an error.
    result: i32,
}

/// The kernel's notification on the memory of a zero-copy send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The send has ended, and the memory is still needed.
    Busy,
    /// The memory is free again.
    Free {
        /// Whether the bytes were copied after all, if the send asked for this.
        copied: bool,
    },
}

impl Ring {
    /// A ring on a kernel with these operations, each given with its number.
    pub fn new(operations: &[(&str, u8)]) -> Result<Self> {
        let ring = IoUring::new(ENTRIES).map_err(Error::refused("set up an io_uring", ADVICE))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).map_err(Error::refused(
            "ask io_uring for its operations",
            "use Linux 5.11 or newer",
        ))?;
        match operations.iter().find(|(_, code)| !probe.is_supported(*code)) {
            None => Ok(Self(ring)),
            Some((name, _)) => {
                let reason = format!("the io_uring of this kernel has no operation {name}");
                Err(Error::Unsupported { reason })
            }
        }
    }

    /// Submits operations under a tag, and waits until all have ended. `heard` receives the notifications
    /// of zero-copy sends, with their tags.
    ///
    /// # Safety
    ///
    /// The memory that the operations read or write must never be freed, and must not be used otherwise
    /// before they have ended: after a failure, that is never.
    pub unsafe fn run<const N: usize>(
        &mut self,
        operations: [squeue::Entry; N],
        tag: u32,
        counts: &mut CallCounts,
        mut heard: impl FnMut(u32, Notice, &mut CallCounts),
    ) -> Result<[Ended; N], Failure> {
        for (index, operation) in operations.into_iter().enumerate() {
            let operation = operation.user_data(u64::from(tag) << 32 | index as u64);
            // SAFETY: the caller's promise.
            let pushed = unsafe { self.0.submission().push(&operation) };
            pushed.expect("a ring has room for a message's operations");
        }
        let mut ended = [Ended::default(); N];
        let mut running = N;
        while running > 0 {
            self.enter(running, counts)?;
            running -= self.take(&mut ended, counts, &mut heard);
        }
        Ok(ended)
    }

    /// Waits until `heard` receives a notification.
    pub fn listen(
        &mut self,
        counts: &mut CallCounts,
        mut heard: impl FnMut(u32, Notice, &mut CallCounts),
    ) -> Result<(), Failure> {
        self.enter(1, counts)?;
        self.take(&mut [], counts, &mut heard);
        Ok(())
    }

    /// Submits the operations, and waits for `completions` completions.
    fn enter(&mut self, completions: usize, counts: &mut CallCounts) -> Result<(), Failure> {
        let limit = types::Timespec::from(STALL_TIMEOUT);
        let arguments = types::SubmitArgs::new().timespec(&limit);
        calls::counted("io_uring_enter", counts, || {
            self.0.submitter().submit_with_args(completions, &arguments).map_err(|error| {
                match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                    // A blocking socket would return this.
                    Errno::TIME => Errno::AGAIN,
                    errno => errno,
                }
            })
        })
        .map(drop)
    }

    /// Takes the completions, and returns how many operations have ended.
    fn take(
        &mut self,
        ended: &mut [Ended],
        counts: &mut CallCounts,
        heard: &mut impl FnMut(u32, Notice, &mut CallCounts),
    ) -> usize {
        let mut count = 0;
        for entry in self.0.completion() {
            let (tag, index) = ((entry.user_data() >> 32) as u32, entry.user_data() as u32);
            if cqueue::notif(entry.flags()) {
                heard(tag, Notice::Free { copied: entry.result() & COPIED != 0 }, counts);
                continue;
            }
            if cqueue::more(entry.flags()) {
                heard(tag, Notice::Busy, counts);
            }
            if let Some(ended) = ended.get_mut(index as usize) {
                *ended = Ended { result: entry.result() };
                count += 1;
            }
        }
        count
    }
}

impl Ended {
    /// Its error, if it is one.
    pub fn error(self) -> Option<Errno> {
        (self.result < 0).then(|| Errno::from_raw_os_error(-self.result))
    }

    /// How many bytes an operation moved. None if it did not begin: the operation before it in the chain
    /// moved only a part, or a signal came.
    fn bytes(self, name: &'static str, counts: &mut CallCounts) -> Result<Option<usize>, Failure> {
        match self.error() {
            None => Ok(Some(self.result as usize)),
            Some(Errno::CANCELED) => Ok(None),
            Some(Errno::INTR) => {
                counts.interrupted += 1;
                Ok(None)
            }
            Some(errno) => Err(Failure::Call { name, errno }),
        }
    }

    /// The bytes it read from the file, of `asked`.
    pub fn read(
        self,
        asked: usize,
        name: &'static str,
        counts: &mut CallCounts,
    ) -> Result<usize, Failure> {
        match self.bytes(name, counts)? {
            Some(0) => Err(Failure::EndOfFile),
            Some(bytes) => {
                counts.partial_reads += u64::from(bytes < asked);
                Ok(bytes)
            }
            None => Ok(0),
        }
    }

    /// The bytes it sent, of `asked`.
    pub fn sent(
        self,
        asked: usize,
        name: &'static str,
        counts: &mut CallCounts,
    ) -> Result<usize, Failure> {
        let bytes = self.bytes(name, counts)?;
        if let Some(bytes) = bytes {
            calls::note_sent(bytes, asked, counts);
        }
        Ok(bytes.unwrap_or(0))
    }
}

/// A message on its way from the file through memory to the socket.
pub struct Message {
    pub file: Fd,
    /// Its offset in the file.
    pub offset: u64,
    /// Its buffer in memory.
    pub buffer: *mut u8,
    /// Its length, and the buffer's.
    pub length: usize,
    /// The tag of its sends.
    pub tag: u32,
}

impl Ring {
    /// Reads a message and sends it, with the operation that `send` makes for a part of the buffer.
    ///
    /// # Safety
    ///
    /// As for [`Self::run`], for the message's buffer.
    pub unsafe fn read_and_send(
        &mut self,
        message: &Message,
        counts: &mut CallCounts,
        send: impl Fn(*const u8, u32) -> squeue::Entry,
        mut heard: impl FnMut(u32, Notice, &mut CallCounts),
    ) -> Result<(), Failure> {
        let &Message { file, offset, buffer, length, tag } = message;
        let (mut filled, mut sent) = (0, 0);
        while sent < length {
            let rest = length - sent;
            let send = send(buffer.wrapping_add(sent), rest as u32);
            let ended = if filled < length {
                let missing = length - filled;
                let read = Read::new(file, buffer.wrapping_add(filled), missing as u32)
                    .offset(offset + filled as u64)
                    .build()
                    .flags(Flags::IO_LINK);
                // SAFETY: the caller's promise.
                let [read, ended] = unsafe { self.run([read, send], tag, counts, &mut heard)? };
                filled += read.read(missing, "read by io_uring", counts)?;
                ended
            } else {
                // SAFETY: as above.
                let [ended] = unsafe { self.run([send], tag, counts, &mut heard)? };
                ended
            };
            sent += ended.sent(rest, "send by io_uring", counts)?;
        }
        Ok(())
    }
}

/// Checks that one operation can move a message.
pub fn check_length(shape: Shape) -> Result<()> {
    if shape.message_bytes() <= MOST_BYTES {
        return Ok(());
    }
    let reason = format!(
        "one operation of io_uring moves at most {MOST_BYTES} bytes: choose a smaller message size"
    );
    Err(Error::Unsupported { reason })
}
