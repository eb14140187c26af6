//! The properties of a bundled workload that its reports use.

mod route;

use serde::{Deserialize, Serialize};

pub use route::Route;

/// The method by which the received bytes were checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckedBy {
    /// The receiver counted and hashed them.
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
    /// Every byte comes from the disk.
    Cold,
    /// No byte comes from the disk.
    Warm,
}

impl CheckedBy {
    /// Both methods.
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
