//! copytrace: how often a program's data is really copied on its way from disk to network, and
//! how often the CPU switches between user and kernel mode for it, measured in the kernel.

pub mod hotspot;
pub mod kernel;
mod mappings;
pub mod naming;
pub mod session;
pub mod witness;
