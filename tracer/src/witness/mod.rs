//! Witnesses: things in the kernel that see bytes move, and which of them this kernel has.

pub mod catalogue;
pub mod layout;
mod plan;
pub mod sites;

pub(crate) use plan::site;
pub use plan::{Leaf, Missing, Plan, PlanError, Probe};
pub use tracer_ledger::Tier;
