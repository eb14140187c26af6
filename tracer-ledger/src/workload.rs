//! What a bundled workload does, in words that its reports share with it.

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

/// How it was found out what arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckedBy {
    /// Who received it counted and hashed it.
    #[default]
    Hash,
    /// Nobody received it: the device that dropped it counted what it was given.
    DeviceCounters,
}

/// Whether the payload lies in the page cache when the transfer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// None of it does: every byte comes from the disk.
    Cold,
    /// All of it does: none comes from the disk.
    Warm,
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

impl CheckedBy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hash, Self::DeviceCounters];
}

impl Cache {
    /// As on the command line: `cold` or `warm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}
