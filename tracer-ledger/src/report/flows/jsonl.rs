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
    /// The counts since the previous line; in the first one, all.
    pub since_last: Total,
    /// The counts until now.
    #[serde(flatten)]
    pub report: Report,
}

/// Writes a line.
pub fn write(line: &Line, out: &mut dyn io::Write) -> io::Result<()> {
    json::write_line(line, out)
}
