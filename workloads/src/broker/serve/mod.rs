//! The ways of messages from the log to a consumer, one file each. Each message costs one call, so that
//! the flavours are comparable.

use super::{Flavour, store::Store};

mod content;
mod deliver;
mod heap;
mod mapped;
mod sendfile;

pub use deliver::{Deliver, Stopped};

/// The way of a flavour. Its buffers are allocated now, not during delivery.
pub fn way(store: &Store) -> Box<dyn Deliver> {
    match store.flavour() {
        Flavour::Kafka => Box::new(sendfile::Sendfile::new()),
        Flavour::Rocketmq => Box::new(mapped::Mapped),
        Flavour::RocketmqHeap => Box::new(heap::Heap::new(store.longest())),
    }
}
