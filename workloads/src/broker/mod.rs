//! A small, real log broker: producers append messages, consumers get them, over TCP; nothing is
//! acknowledged before it is on disk. See `docs/brokers.md`.

pub mod check;
pub mod client;
pub mod driver;
mod flavour;
pub mod load;
pub mod log;
mod mapping;
mod progress;
pub mod record;
mod redelivery;
mod serve;
pub mod server;
mod span;
pub mod store;
mod transaction;
pub mod wire;

pub use redelivery::{Redelivery, TRIES};
pub use tracer_ledger::broker::{Answer, Feature, Flavour, Survival};
pub use transaction::Fate;
