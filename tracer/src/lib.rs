//! copytrace: how often a program's data is really copied on its way from disk to network, and
//! how often the CPU switches between user and kernel mode for it, measured in the kernel.

pub mod claims;
pub mod expect;
pub mod flows;
pub mod kernel;
pub mod ledger;
pub mod report;
pub mod session;
pub mod witness;
