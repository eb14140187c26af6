//! Shared parts of the ways of delivery.

use std::{
    io::{self, IoSlice},
    net::TcpStream,
};

use crate::{
    Result,
    broker::{
        record::{HEADER, Header},
        store::Store,
        wire::Order,
    },
};

/// Hands messages out over one connection.
pub trait Deliver: Send {
    /// Sends the messages of an order that are on disk, and returns the offset to resume from.
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
    /// The consumer is gone, or has stopped reading.
    Consumer(io::Error),
    /// The broker cannot continue; the consumer is told why.
    Broker(crate::Error),
}

impl From<crate::Error> for Stopped {
    fn from(error: crate::Error) -> Self {
        Self::Broker(error)
    }
}

/// Sends a message from memory, as header with tag and body: two parts, one call.
pub fn send(socket: &TcpStream, header: &Header, record: &[u8]) -> io::Result<()> {
    let (head, body) = record.split_at(HEADER + header.tag);
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
