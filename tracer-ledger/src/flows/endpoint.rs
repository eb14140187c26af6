//! The ends of a flow, and its process.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::medium::Medium;
use crate::Place;

/// The name of an object whose description found no room, or was forgotten.
pub const UNKNOWN: &str = "(unknown)";

/// The kinds of sources and destinations.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file in a file system.
    File,
    /// A TCP connection.
    Tcp,
    /// A UDP socket.
    Udp,
    /// A Unix socket.
    Unix,
    /// A pipe or a FIFO.
    Pipe,
    /// The process's own memory.
    Memory,
    /// Anything else: a device, a terminal, another socket.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::File, Self::Tcp, Self::Udp, Self::Unix, Self::Pipe, Self::Memory, Self::Other];

    /// The place of its bytes, as the kernel sees it.
    pub fn place(self) -> Place {
        match self {
            Self::File => Place::PageCache,
            Self::Tcp | Self::Udp | Self::Unix => Place::Socket,
            Self::Pipe => Place::Pipe,
            Self::Memory => Place::User,
            Self::Other => Place::Kernel,
        }
    }

    /// Whether it is a socket.
    pub fn is_socket(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Unix)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Pipe => "pipe",
            Self::Memory => "memory",
            Self::Other => "other",
        })
    }
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its kind.
    pub kind: Kind,
    /// Its name: a path, the two addresses of a connection, the number of a pipe; empty for memory.
    pub name: String,
    /// Its group, shared with others of its kind, such as the port of a server; the name where there is
    /// none.
    pub group: String,
    /// The file descriptor it was used under, if those are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<u32>,
    /// Its medium.
    #[serde(default, skip_serializing_if = "Medium::is_usual")]
    pub medium: Medium,
}

impl Endpoint {
    /// The process's own memory.
    pub fn memory() -> Self {
        Self::new(Kind::Memory, "")
    }

    /// The place of its bytes, as the kernel sees it.
    pub fn place(&self) -> Place {
        if self.medium.is_made_by_kernel() { Place::Kernel } else { self.kind.place() }
    }

    /// Whether it is a device, whose handling of bytes is unknown. A socket of another family is not a
    /// device.
    pub fn is_device(&self) -> bool {
        self.kind == Kind::Other && !matches!(self.medium, Medium::Protocol(..))
    }

    /// An end without a group.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { kind, group: name.clone(), name, descriptor: None, medium: Medium::Usual }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => self.kind.fmt(f),
            name if self.kind == Kind::File => f.pad(name),
            name => write!(f, "{} {name}", self.kind),
        }
    }
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its name, as `ps` shows it.
    pub name: String,
    /// Its id; none for several processes of one name.
    pub pid: Option<u32>,
    /// The id of one of its threads, if those are told apart; the name is then the thread's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u32>,
}

/// The level of detail: what is told apart besides processes and objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Nothing more.
    #[default]
    Process,
    /// The threads of a process.
    Thread,
    /// The file descriptors of a process.
    Descriptor,
}
