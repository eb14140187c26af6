//! A command in a guest: the protocol, and its two ends.

pub mod agent;
pub mod client;
pub mod death;
mod files;
pub mod protocol;
pub mod serving;
