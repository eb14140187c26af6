//! Witnesses: things in the kernel that see bytes move, what is asked of a kernel for them, and which of
//! them it has.

mod cache;
mod callers;
pub mod catalogue;
mod gather;
pub mod layout;
mod plan;
mod questions;
mod record;
pub mod sites;

pub use callers::Breadth;
pub(crate) use plan::site;
pub use plan::{Leaf, Missing, Plan, PlanError, Probe};
pub use questions::ITERATOR_KINDS;
pub use tracer_ledger::Tier;

/// The facts of a kernel that was recorded for the tests.
#[cfg(test)]
pub(crate) fn recorded(kernel: &str) -> crate::kernel::Facts {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let file = std::fs::File::open(folder.join(format!("{kernel}.tar.gz"))).unwrap();
    crate::kernel::Record::read(file).unwrap().facts().unwrap()
}
