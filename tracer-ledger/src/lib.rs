//! The ledger: bytes move from one place to another, and something moves them.
//!
//! Everything here is pure arithmetic on measured numbers, and views of it: it knows nothing of eBPF, of
//! kernels or of a command line, and reads and writes only what it is handed. A strategy's window is an
//! [`Observation`], any program's traffic a [`flows::Ledger`]; [`claims`] hold the first against the
//! textbook, [`expect`] either against a user's rules, and every [`report`] is a view of one of them.

pub mod broker;
pub mod claims;
mod conservation;
mod delivery;
pub mod expect;
pub mod flows;
mod merge;
mod movement;
mod observation;
pub mod report;
mod speed;
mod tier;
mod warning;
mod words;
pub mod workload;

pub use delivery::{Cost, Delivery, Setting};
pub use merge::merge;
pub use movement::{Movement, Mover, Place, Provenance, Side};
pub use observation::{Copies, Observation, ZeroCopy, ratio};
pub use speed::{Round, Speed, Spread};
pub use tier::Tier;
pub use warning::{Warning, WarningRow};
pub use words::size;

#[cfg(test)]
mod properties;
