//! Names shared by several kinds of objects.

use std::borrow::Cow;

use tracer_ledger::flows::{Endpoint, Kind};

/// The text before the first 0.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}

/// The name of an object that has only an inode, such as `pipe:[4711]`.
pub fn numbered(kind: Kind, what: &str, inode: u64) -> Endpoint {
    Endpoint { group: String::new(), ..Endpoint::new(kind, format!("{what}:[{inode}]")) }
}
