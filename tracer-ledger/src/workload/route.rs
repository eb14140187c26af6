//! From where to where a workload moves its bytes, and what "delivered" means there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Movement, Mover, Place, Side};

/// From what to what the bytes of a strategy go. It says what is set up at the far end, what
/// "delivered" means, and how that is checked.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// From a file to a consumer's socket.
    #[default]
    FileToSocket,
    /// From memory to a consumer's socket.
    MemoryToSocket,
    /// From a file to another one.
    FileToFile,
    /// From one process's memory to another's.
    ProcessToProcess,
    /// From a socket, whose other end the consumer sends to.
    Receive,
    /// From memory into datagrams: to a consumer, or to a device that drops them.
    Datagrams,
}

impl Route {
    /// Every route, in the order of a list.
    pub const ALL: [Self; 6] = [
        Self::FileToSocket,
        Self::MemoryToSocket,
        Self::FileToFile,
        Self::ProcessToProcess,
        Self::Receive,
        Self::Datagrams,
    ];

    /// Whether a consumer is at the far end.
    pub fn has_consumer(self) -> bool {
        match self {
            Self::FileToSocket | Self::MemoryToSocket | Self::Receive | Self::Datagrams => true,
            Self::FileToFile | Self::ProcessToProcess => false,
        }
    }

    /// The delivery, in words: payload is seen, or not seen, `entering the socket`.
    pub fn delivery(self) -> &'static str {
        match self {
            Self::FileToSocket | Self::MemoryToSocket | Self::Datagrams => "entering the socket",
            Self::FileToFile => "entering the file",
            Self::ProcessToProcess => "reaching the other process's memory",
            Self::Receive => "leaving the socket for memory or a file",
        }
    }

    /// Whether a movement brings payload to where the route delivers it, by copy or by reference.
    pub fn delivers(self, movement: &Movement) -> bool {
        let sender = movement.side == Side::Sender;
        match self {
            Self::FileToSocket | Self::MemoryToSocket | Self::Datagrams => {
                sender
                    && movement.to == Place::Socket
                    && movement.from != Place::Socket
                    && movement.by != Mover::Dma
            }
            // Into its page cache, or onto the disk by sharing what is there.
            Self::FileToFile => {
                sender
                    && match movement.by {
                        Mover::Dma | Mover::Cipher => false,
                        Mover::Cpu => movement.to == Place::PageCache,
                        Mover::Reference => movement.to == Place::Disk,
                    }
            }
            // The receiver copies it there, or the sender into memory of both.
            Self::ProcessToProcess => {
                movement.to == Place::User
                    && movement.by == Mover::Cpu
                    && (movement.from == Place::User || !sender)
            }
            Self::Receive => {
                !sender
                    && movement.by != Mover::Dma
                    && matches!(movement.to, Place::User | Place::PageCache)
            }
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FileToSocket => "file to socket",
            Self::MemoryToSocket => "memory to socket",
            Self::FileToFile => "file to file",
            Self::ProcessToProcess => "process to process",
            Self::Receive => "receiving",
            Self::Datagrams => "datagrams",
        })
    }
}
