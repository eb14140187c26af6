//! The ledger: bytes move from one place to another, and something moves them.
//!
//! Everything here is pure arithmetic on measured numbers; it knows nothing of eBPF or of I/O.
//! Every report is a view of an [`Observation`].

mod balance;
mod delivery;
mod merge;
mod movement;
mod observation;

pub use balance::delivery;
pub use delivery::{Cost, Delivery, Round, Setting, Spread};
pub use merge::merge;
pub use movement::{Movement, Mover, Place, Provenance, Side};
pub use observation::{Copies, Observation, ZeroCopy, ratio};

#[cfg(test)]
mod properties;
