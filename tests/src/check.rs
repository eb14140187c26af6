//! A check, its context, and its outcome.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
pub use xtask::tier::Tier;

/// A condition, and the function that checks it.
pub struct Check {
    /// The condition. No two checks have the same name.
    pub name: &'static str,
    /// Fails if it does not hold; fails with [`Skipped`] if it cannot be checked here.
    pub run: fn(&Context) -> Result<()>,
}

/// The context of a check.
#[derive(Clone, Serialize, Deserialize)]
pub struct Context {
    /// The program under test.
    pub copytrace: PathBuf,
    /// The program that makes the checks.
    pub tests: PathBuf,
    /// The tier it is run in.
    pub tier: Tier,
    /// Whether to repeat less.
    pub quick: bool,
    /// Where nginx is unpacked.
    pub nginx: PathBuf,
    /// Where other programs are unpacked.
    pub packages: PathBuf,
    /// The flags with the places of Kafka and RocketMQ, or the reason why they are missing.
    pub brokers: std::result::Result<Vec<OsString>, String>,
    /// Whether the check has the whole machine.
    pub in_guest: bool,
    /// The factor by which the machine is slower than those on which the times were chosen.
    pub pace: f64,
}

/// The reason why a check cannot be made here.
#[derive(Debug)]
pub struct Skipped(pub String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// The outcome of a check.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The condition holds.
    Passed,
    /// It does not, or the check could not be finished.
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
