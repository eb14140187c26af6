//! The ways of messages from the log to a consumer, one file each. Each message costs one call, so
//! that the flavours compare.

use std::{
    io::{self, IoSlice},
    net::TcpStream,
};

use super::{Flavour, record::Header, store::Store, wire::Order};
use crate::Result;

mod content;
mod heap;
mod mapped;
mod sendfile;

/// Hands messages out over one connection.
pub trait Deliver: Send {
    /// Sends what an order asks for of what is on disk, and answers the offset to go on from.
    fn deliver(
        &mut self,
        store: &Store,
        order: &Order<'_>,
        socket: &TcpStream,
    ) -> Result<u64, Stopped>;
}

/// Why a delivery stopped.
#[derive(Debug)]
pub enum Stopped {
    /// The consumer is gone, or takes nothing any more.
    Consumer(io::Error),
    /// The broker cannot go on: for the consumer to read.
    Broker(crate::Error),
}

impl From<crate::Error> for Stopped {
    fn from(error: crate::Error) -> Self {
        Self::Broker(error)
    }
}

/// The way of a flavour. What it needs is made now, not when messages are handed out.
pub fn way(store: &Store) -> Box<dyn Deliver> {
    match store.flavour() {
        Flavour::Kafka => Box::new(sendfile::Sendfile::new()),
        Flavour::Rocketmq => Box::new(mapped::Mapped),
        Flavour::RocketmqHeap => Box::new(heap::Heap::new(store.longest())),
    }
}

/// Sends a message that lies in memory, as header with tag and body: two parts, one call.
fn send(socket: &TcpStream, header: &Header, record: &[u8]) -> io::Result<()> {
    let (head, body) = record.split_at(super::record::HEADER + header.tag);
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut parts = &mut parts[..];
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match rustix::io::writev(socket, parts) {
            Ok(sent) => IoSlice::advance_slices(&mut parts, sent),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
