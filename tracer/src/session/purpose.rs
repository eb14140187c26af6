//! What a session is for.

use tracer_ledger::flows::Detail;

use super::wanted::Wanted;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Flows of the bundled programs, which open and close the window in which they are counted.
    Windows,
    /// Flows of any program.
    Flows {
        /// What is told apart besides processes and objects.
        detail: Detail,
        /// Take stacks of the copies.
        stacks: bool,
        /// What is looked for besides.
        wanted: Wanted,
        /// How many times less room the maps have than usual.
        scarcity: u32,
    },
}

impl Purpose {
    /// The same with so many times less room.
    pub fn with_scarcity(self, scarcity: u32) -> Self {
        match self {
            Self::Windows => self,
            Self::Flows { detail, stacks, wanted, .. } => {
                Self::Flows { detail, stacks, wanted, scarcity }
            }
        }
    }
}
