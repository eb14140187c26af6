//! Who, or what, is at the far end of a strategy's way.

use crate::protocol::Service;

/// What the bytes of a strategy go to, or come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// The consumer, by a connection, which does what it is asked.
    Consumer(Service),
    /// The consumer, by datagrams beside the connection; or a device that drops them.
    Datagrams,
    /// An empty file beside the payload.
    File,
    /// Another process, a child of the measured one.
    Process(Channel),
}

impl Counterpart {
    /// Whether the bytes come from it.
    pub fn sends(self) -> bool {
        match self {
            Self::Consumer(service) => service.sends(),
            Self::Process(channel) => channel == Channel::ItsMemory,
            Self::Datagrams | Self::File => false,
        }
    }
}

/// The way to the other process, which says what that process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Channel {
    /// A pipe, which it reads.
    Pipe,
    /// A stream socket of this machine, from which it receives.
    UnixStream,
    /// Memory of both: it looks at what was put there.
    SharedMemory,
    /// Its own memory, which holds the payload: it does nothing.
    ItsMemory,
}

impl Channel {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::UnixStream => "unix-stream",
            Self::SharedMemory => "shared-memory",
            Self::ItsMemory => "its-memory",
        }
    }
}

/// Where the payload lies in another process.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// The process.
    pub pid: u32,
    /// Address of the first byte, in that process.
    pub address: u64,
}
