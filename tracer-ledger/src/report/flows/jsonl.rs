//! One JSON document a line: what was measured until then, and since the line before.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, Total};
use crate::report::json;

/// A line of `--format jsonl`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    /// When it was written, as RFC 3339 has it, in UTC; absent in what is made of a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What was counted since the line before: all, in the first one.
    pub since_last: Total,
    /// What was counted until now.
    #[serde(flatten)]
    pub report: Report,
}

/// Writes a line.
pub fn write(line: &Line, out: &mut dyn io::Write) -> io::Result<()> {
    json::write_line(line, out)
}
