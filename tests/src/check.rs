//! A check, what it runs with, and what comes of it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
pub use xtask::tier::Tier;

/// What must be true, and how it is found out.
pub struct Check {
    /// What must be true. No two checks have the same name.
    pub name: &'static str,
    /// Fails if it is not, and with [`Skipped`] if that cannot be found out here.
    pub run: fn(&Context) -> Result<()>,
}

/// What a check runs with.
#[derive(Clone, Serialize, Deserialize)]
pub struct Context {
    /// The program that is checked.
    pub copytrace: PathBuf,
    /// The program that makes the checks.
    pub tests: PathBuf,
    /// How it is told to enter functions.
    pub tier: Tier,
    /// Repeat less.
    pub quick: bool,
    /// Where nginx is unpacked.
    pub nginx: PathBuf,
    /// Where other programs are unpacked.
    pub packages: PathBuf,
    /// The flags that say where Kafka and RocketMQ are, or why they are not there.
    pub brokers: std::result::Result<Vec<OsString>, String>,
    /// Whether the whole machine is there for the check.
    pub in_guest: bool,
    /// How many times slower the machine is than those on which times were chosen.
    pub pace: f64,
}

/// Why a check cannot be made here.
#[derive(Debug)]
pub struct Skipped(pub String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// What came of a check.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is true.
    Passed,
    /// It is not, or the check could not be made to its end.
    Failed(String),
    /// The check cannot be made here.
    Skipped(String),
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) if error.is::<Skipped>() => Self::Skipped(error.to_string()),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}
