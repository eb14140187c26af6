//! Routes: what lies at the two ends of a strategy's way.

use std::fmt;

use serde::{Deserialize, Serialize};

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
