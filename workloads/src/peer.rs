//! The other process of a transfer between two: a child of the measured one.
//!
//! The channel between the two is its standard input. On its standard output it reports that it is ready,
//! by an address of eight bytes, and at the end the bytes it received.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::RecvFlags,
};

use crate::{
    Error, Result, page, process, protocol::Answer, shared::Shared, strategy::counterpart::Channel,
};

/// Bytes received at a time.
const BUFFER: usize = 256 << 10;
/// The interval between two looks at shared memory.
const BETWEEN_LOOKS: Duration = Duration::from_micros(50);

/// The verb of the other process.
pub(crate) const VERB: &str = "run-peer";

/// Arguments of the other process.
#[derive(Clone, Debug, clap::Args)]
pub struct PeerArgs {
    /// The kind of its standard input
    #[arg(long, value_enum)]
    pub(crate) channel: Channel,
    /// Bytes of the payload
    #[arg(long)]
    pub(crate) bytes: u64,
    /// Process id of the measured process
    #[arg(long)]
    pub(crate) parent: u32,
}

/// Runs as a child, until the parent ends it: an earlier end would send a signal in the window.
pub fn run(args: &PeerArgs) -> Result<()> {
    process::ignore_signals();
    process::die_with_parent(args.parent)?;
    let input = io::stdin();
    let (input, bytes) = (input.as_fd(), args.bytes);
    let answer = match args.channel {
        Channel::Pipe => receive(input, bytes, |buffer| rustix::io::read(input, buffer)),
        Channel::UnixStream => receive(input, bytes, |buffer| {
            rustix::net::recv(input, buffer, RecvFlags::empty()).map(|(received, _)| received)
        }),
        Channel::SharedMemory => look(input, bytes),
        Channel::ItsMemory => hold(input, bytes),
    }?;
    send(&answer.encode())?;
    stay()
}

fn stay() -> ! {
    loop {
        thread::park();
    }
}

fn ready(address: u64) -> Result<()> {
    send(&address.to_le_bytes())
}

fn send(what: &[u8]) -> Result<()> {
    let mut output = io::stdout().lock();
    output
        .write_all(what)
        .and_then(|()| output.flush())
        .map_err(Error::os("tell the measured process"))
}

/// Receives `bytes` bytes, or fewer if there are no more.
fn receive(
    input: BorrowedFd<'_>,
    bytes: u64,
    read: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Answer> {
    let mut buffer = vec![1; BUFFER];
    let mut hasher = blake3::Hasher::new();
    ready(0)?;
    // A call that begins before this process is traced would not be counted.
    wait_for_input(input)?;
    while hasher.count() < bytes {
        match read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(Error::os("receive")(error)),
        };
    }
    Ok(Answer { bytes: hasher.count(), hash: hasher.finalize() })
}

fn wait_for_input(input: BorrowedFd<'_>) -> Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(input, PollFlags::IN)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Error::os("wait for the payload")(error)),
    }
}

/// Reads shared memory in place.
fn look(memory: BorrowedFd<'_>, bytes: u64) -> Result<Answer> {
    let shared = Shared::map(memory, bytes as usize)?;
    let mut hasher = blake3::Hasher::new();
    ready(0)?;
    while hasher.count() < bytes {
        let seen = hasher.count() as usize;
        match &shared.published()[seen..] {
            [] => thread::sleep(BETWEEN_LOOKS),
            more => drop(hasher.update(more)),
        }
    }
    Ok(Answer { bytes, hash: hasher.finalize() })
}

/// Holds the payload from its standard input, until the parent ends this process.
fn hold(mut payload: BorrowedFd<'_>, bytes: u64) -> Result<Answer> {
    let mut memory = vec![1; bytes as usize + page::size()];
    let start = memory.as_ptr().align_offset(page::size());
    let held = &mut memory[start..start + bytes as usize];
    read_exact(&mut payload, held)?;
    ready(held.as_ptr() as u64)?;
    stay()
}

fn read_exact(payload: &mut BorrowedFd<'_>, held: &mut [u8]) -> Result<()> {
    let file = payload.try_clone_to_owned().map_err(Error::os("read the payload"))?;
    std::fs::File::from(file).read_exact(held).map_err(Error::os("read the payload"))
}
