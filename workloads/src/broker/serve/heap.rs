//! Copied from the mapped log to the heap, and from there with `writev`: RocketMQ's default
//! (`transferMsgByHeap`).

use std::net::TcpStream;

use super::{
    content,
    deliver::{Deliver, Stopped, send},
};
use crate::{
    broker::{store::Store, wire::Order},
    page::touched_buffer,
    user_copy::copytrace_user_copy,
};

pub struct Heap(Vec<u8>);

impl Heap {
    /// With room for a message of `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self(touched_buffer(longest))
    }
}

impl Deliver for Heap {
    fn deliver(
        &mut self,
        store: &Store,
        order: &Order<'_>,
        socket: &TcpStream,
    ) -> Result<u64, Stopped> {
        content::each(store, order, |header, record| {
            if self.0.len() < record.len() {
                self.0.resize(record.len(), 0);
            }
            let heap = &mut self.0[..record.len()];
            // SAFETY: both have the length of the record, and the heap is no part of the mapping.
            unsafe { copytrace_user_copy(heap.as_mut_ptr(), record.as_ptr(), record.len()) };
            send(socket, header, heap).map_err(Stopped::Consumer)
        })
    }
}
