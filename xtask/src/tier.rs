//! Tiers: the ways to enter functions of the kernel.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The ways to enter functions of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// fentry and fexit
    Fentry,
    /// kprobes and kretprobes
    Kprobe,
    /// No functions: stable tracepoints only
    Tracepoint,
}

impl Tier {
    /// As `copytrace demo --tier` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}
