//! Rows of strategies as the formats for people write them.

use std::fmt;

use super::model::{Measured, MovementRow, Payload, PerMessage};
use crate::words::{rough, size};

impl PerMessage {
    /// Page faults, in user mode and in kernel mode.
    pub(in crate::report) fn faults(&self) -> String {
        format!("{} + {}", rough(self.page_faults_user), rough(self.page_faults_kernel))
    }
}

impl Measured {
    /// Context switches per message.
    pub(super) fn switches(&self) -> String {
        rough(self.per_message.context_switches())
    }
}

impl MovementRow {
    /// `disk → page cache`
    pub(in crate::report) fn way(&self) -> String {
        format!("{} → {}", self.from, self.to)
    }
}

/// `256 messages of 64 KiB`
impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, message_bytes } = *self;
        let noun = if messages == 1 { "message" } else { "messages" };
        write!(f, "{messages} {noun} of {}", size(message_bytes))
    }
}
