//! The far end of a strategy.

use crate::protocol::Service;

/// The destination of a strategy's bytes, or their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// The consumer, by a connection, and the service asked of it.
    Consumer(Service),
    /// The consumer, by datagrams beside the connection; or a device that drops them.
    Datagrams,
    /// An empty file beside the payload.
    File,
    /// Another process, a child of the measured one.
    Process(Channel),
}

impl Counterpart {
    /// Whether the far end sends.
    pub fn sends(self) -> bool {
        match self {
            Self::Consumer(service) => service.sends(),
            Self::Process(channel) => channel == Channel::ItsMemory,
            Self::Datagrams | Self::File => false,
        }
    }
}

/// The channel to the other process; it determines the process's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Channel {
    /// A pipe, which it reads.
    Pipe,
    /// A stream socket of this machine, from which it receives.
    UnixStream,
    /// Memory of both: the other process reads it in place.
    SharedMemory,
    /// The other process's own memory, which holds the payload: the process does nothing.
    ItsMemory,
}

impl Channel {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::UnixStream => "unix-stream",
            Self::SharedMemory => "shared-memory",
            Self::ItsMemory => "its-memory",
        }
    }
}

/// The payload's place in another process.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// The process.
    pub pid: u32,
    /// Address of the first byte, in that process.
    pub address: u64,
}
