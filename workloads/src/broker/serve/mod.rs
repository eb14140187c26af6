//! The ways of messages from the log to a consumer, one file each. Each message costs one call, so
//! that the flavours compare.

use super::{Flavour, store::Store};

mod content;
mod deliver;
mod heap;
mod mapped;
mod sendfile;

pub use deliver::{Deliver, Stopped};

/// The way of a flavour. What it needs is made now, not when messages are handed out.
pub fn way(store: &Store) -> Box<dyn Deliver> {
    match store.flavour() {
        Flavour::Kafka => Box::new(sendfile::Sendfile::new()),
        Flavour::Rocketmq => Box::new(mapped::Mapped),
        Flavour::RocketmqHeap => Box::new(heap::Heap::new(store.longest())),
    }
}
