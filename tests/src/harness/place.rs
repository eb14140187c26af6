//! The interface of all places: the command of a check, and its outcome.

use std::ffi::OsString;

use anyhow::Result;

use crate::check::{Check, Context, Outcome};

/// The number of lines of other output shown for a failed check.
const TAIL_LINES: usize = 30;

/// This program, making one check.
pub fn command(check: &Check, context: &Context) -> Result<Vec<OsString>> {
    let program = context.tests.clone().into_os_string();
    let context = serde_json::to_string(context)?;
    // The name of a check may look like a flag.
    Ok(vec![program, "in-place".into(), context.into(), "--".into(), check.name.into()])
}

/// The outcome of a check whose process wrote this, and ended with this status.
pub fn outcome(stdout: &[u8], stderr: &[u8], status: &str) -> Outcome {
    let outcome = serde_json::from_slice(stdout).unwrap_or_else(|_| {
        Outcome::Failed(format!("the check's process ended without an answer ({status})"))
    });
    with_output(outcome, stderr)
}

/// Adds other output to a failure.
pub fn with_output(outcome: Outcome, stderr: &[u8]) -> Outcome {
    let said = xtask::command::tail(&String::from_utf8_lossy(stderr), TAIL_LINES);
    match outcome {
        Outcome::Failed(why) if !said.is_empty() => {
            Outcome::Failed(format!("{why}\nIt printed:\n{said}"))
        }
        outcome => outcome,
    }
}
