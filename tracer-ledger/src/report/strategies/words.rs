//! Rows of strategies as the formats for people write them.

use std::fmt;

use super::model::{Measured, MovementRow, Payload, PerMessage};
use crate::{
    claims::{Quantity, Verdict},
    words::{rough, size},
};

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

    /// The difference from the textbook: `fewer calls`, `more copies`, `fewer calls and copies`.
    pub(in crate::report) fn difference(&self) -> String {
        self.differences().into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Of calls or else switches, and of copies: `fewer calls` and `and copies`, or `and more copies`.
    pub(super) fn differences(&self) -> [Option<String>; 2] {
        let how = |quantity| {
            let judged = self.judged(quantity)?;
            let differs = judged.verdict > Some(Verdict::Confirmed);
            Some(match judged.measured.partial_cmp(&judged.documented) {
                _ if !differs => return None,
                Some(std::cmp::Ordering::Less) => "fewer",
                Some(std::cmp::Ordering::Greater) => "more",
                _ => "other",
            })
        };
        let calls = how(Quantity::SystemCalls).map(|how| (how, "calls"));
        let calls = calls.or(how(Quantity::ModeSwitches).map(|how| (how, "switches")));
        let copies = [Quantity::AllCopies, Quantity::CpuCopies, Quantity::DmaCopies];
        let copies = copies.into_iter().find_map(how).map(|how| (how, "copies"));
        match (calls, copies) {
            (Some((how, what)), Some((same, copies))) if how == same => {
                [Some(format!("{how} {what}")), Some(format!("and {copies}"))]
            }
            (Some((how, what)), Some((other, copies))) => {
                [Some(format!("{how} {what}")), Some(format!("and {other} {copies}"))]
            }
            (Some((how, what)), None) | (None, Some((how, what))) => {
                [Some(format!("{how} {what}")), None]
            }
            (None, None) => [None, None],
        }
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
