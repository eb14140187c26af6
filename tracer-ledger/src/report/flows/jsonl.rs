//! One JSON document a line: the counts until then, and since the previous line.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, Total};
use crate::report::json;

/// A line of `--format jsonl`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    /// The time of writing, in RFC 3339 format, in UTC; absent if made from a recording.
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
