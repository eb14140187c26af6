//! Tiers: how much of the kernel could be probed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The ways to enter functions of the kernel, best first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// By fentry and fexit.
    Fentry,
    /// By kprobes and kretprobes.
    Kprobe,
    /// Not at all: tracepoints only, and CPU copies derived.
    Tracepoint,
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        })
    }
}
