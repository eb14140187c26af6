//! The purpose of a session.

use tracer_ledger::flows::Detail;

use super::wanted::Wanted;

/// The purpose of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Flows of the bundled programs, which open and close the window in which they are counted.
    Windows,
    /// Flows of any program.
    Flows {
        /// The level of detail: what is told apart besides processes and objects.
        detail: Detail,
        /// Take stacks of the copies.
        stacks: bool,
        /// Targets besides the traced processes.
        wanted: Wanted,
        /// The divisor of the room in maps.
        scarcity: u32,
    },
}

impl Purpose {
    /// The same with room divided by `scarcity`.
    pub fn with_scarcity(self, scarcity: u32) -> Self {
        match self {
            Self::Windows => self,
            Self::Flows { detail, stacks, wanted, .. } => {
                Self::Flows { detail, stacks, wanted, scarcity }
            }
        }
    }
}
