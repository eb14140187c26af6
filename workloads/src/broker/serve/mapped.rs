//! Out of the mapped log with `writev`, as RocketMQ does without `transferMsgByHeap`.

use std::net::TcpStream;

use super::{
    content,
    deliver::{Deliver, Stopped, send},
};
use crate::broker::{store::Store, wire::Order};

pub struct Mapped;

impl Deliver for Mapped {
    fn deliver(
        &mut self,
        store: &Store,
        order: &Order<'_>,
        socket: &TcpStream,
    ) -> Result<u64, Stopped> {
        content::each(store, order, |header, record| {
            send(socket, header, record).map_err(Stopped::Consumer)
        })
    }
}
