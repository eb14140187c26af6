//! The payload in memory, cut into datagrams.

use crate::{
    Result, datagram,
    strategy::{contract::Job, memory::Memory},
};

/// The datagrams of all messages.
pub struct Datagrams {
    payload: Memory,
    message: usize,
    /// Bytes of a datagram.
    length: usize,
}

impl Datagrams {
    /// As many as each message needs on the route that the job's socket is connected by.
    pub fn new(job: &Job<'_>) -> Result<Self> {
        let length = datagram::length(job.socket, job.shape)?;
        Ok(Self { payload: Memory::with_payload(job)?, message: job.shape.message_len(), length })
    }

    /// Bytes of a datagram; the last one of a message may be shorter.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The datagrams in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let messages = self.payload.chunks_exact(self.message);
        messages.flat_map(|message| message.chunks(self.length))
    }
}
