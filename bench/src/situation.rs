//! The server's task: a file of some size, sent in some way.

use clap::ValueEnum;
use serde::Serialize;

/// A load on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// 1 KiB, sendfile on: most system calls a byte, the hardest for a tracer
    Small,
    /// 1 MiB, sendfile on
    Large,
    /// 1 MiB, sendfile off: read and written in pieces of 32 KiB
    LargeWithoutSendfile,
}

impl Situation {
    /// Bytes of the file.
    pub fn file_bytes(self) -> u64 {
        match self {
            Self::Small => 1 << 10,
            Self::Large | Self::LargeWithoutSendfile => 1 << 20,
        }
    }

    /// nginx's word for it.
    pub fn sendfile(self) -> &'static str {
        match self {
            Self::Small | Self::Large => "on",
            Self::LargeWithoutSendfile => "off",
        }
    }

    /// The description for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Small => "files of 1 KiB, sendfile on",
            Self::Large => "files of 1 MiB, sendfile on",
            Self::LargeWithoutSendfile => "files of 1 MiB, sendfile off",
        }
    }
}
