//! The transfer paths that copytrace measures, a folder a route and a file a strategy, and their
//! consumer.
//!
//! Three processes take part: the *driver* in the measuring command ([`driver`]), and two children of it,
//! both the same program run again with a hidden verb ([`child`]). The *sender* is measured; the
//! *consumer* receives every byte and answers with count and hash. On some [`Route`]s the far end is not
//! a consumer: a file, or a child of the sender, the *peer*.

pub mod broker;
pub mod cache;
pub mod child;
pub mod cli;
pub mod consumer;
mod counts;
mod datagram;
pub mod disk;
pub mod driver;
mod error;
mod namespace;
mod netlink;
mod page;
pub mod payload;
mod peer;
mod pinned;
mod process;
pub mod protocol;
pub mod real;
mod receiver;
pub mod sender;
mod shared;
pub mod size;
pub mod strategy;
pub mod tls;
mod usage;
mod user_copy;
mod window;

pub use disk::Disk;
pub use error::{Error, Result};
pub use payload::{PayloadFile, Shape};
pub use protocol::Outcome;
pub use receiver::{DUMMY_DEVICE, Receiver};
pub use strategy::{STRATEGIES, Strategy};
pub use tracer_ledger::workload::{Cache, CheckedBy, Route};
pub use user_copy::USER_COPY;
