//! What every place is asked to do, and what it answers.

use std::ffi::OsString;

use anyhow::Result;

use crate::check::{Check, Context, Outcome};

/// How many lines of what was printed besides are shown of a check that failed.
const TAIL_LINES: usize = 30;

/// This very program, making one check.
pub fn command(check: &Check, context: &Context) -> Result<Vec<OsString>> {
    let program = context.tests.clone().into_os_string();
    let context = serde_json::to_string(context)?;
    // A check may be called as a flag is.
    Ok(vec![program, "in-place".into(), context.into(), "--".into(), check.name.into()])
}

/// What came of a check whose process wrote this, and ended so.
pub fn outcome(stdout: &[u8], stderr: &[u8], status: &str) -> Outcome {
    let outcome = serde_json::from_slice(stdout).unwrap_or_else(|_| {
        Outcome::Failed(format!("the check's process ended without an answer ({status})"))
    });
    with_output(outcome, stderr)
}

/// Adds what was printed to a failure.
pub fn with_output(outcome: Outcome, stderr: &[u8]) -> Outcome {
    let said = xtask::command::tail(&String::from_utf8_lossy(stderr), TAIL_LINES);
    match outcome {
        Outcome::Failed(why) if !said.is_empty() => {
            Outcome::Failed(format!("{why}\nIt printed:\n{said}"))
        }
        outcome => outcome,
    }
}
