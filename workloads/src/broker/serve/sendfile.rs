//! From the segment file with `sendfile`, as Kafka does on plaintext connections. The offsets of the
//! messages are known since they were appended; their content is not read.

use std::{fs::File, io, net::TcpStream};

use rustix::io::Errno;

use super::deliver::{Deliver, Stopped};
use crate::broker::{store::Store, wire::Order};

/// Messages looked up at once.
const AT_ONCE: usize = 1024;

pub struct Sendfile {
    /// The offsets of the messages, and the end of the last one.
    bounds: Vec<u64>,
}

impl Sendfile {
    pub fn new() -> Self {
        Self { bounds: Vec::with_capacity(AT_ONCE + 1) }
    }
}

impl Deliver for Sendfile {
    fn deliver(
        &mut self,
        store: &Store,
        order: &Order<'_>,
        socket: &TcpStream,
    ) -> Result<u64, Stopped> {
        let log = store.log(order.source);
        let mut at = store.first_from(order);
        let mut left = order.most as usize;
        loop {
            log.bounds(at, left.min(AT_ONCE), &mut self.bounds);
            let messages = self.bounds.len() - 1;
            for bounds in self.bounds.windows(2) {
                send(socket, log.file(), bounds[0], bounds[1]).map_err(Stopped::Consumer)?;
                at = bounds[1];
            }
            left -= messages;
            if messages == 0 || left == 0 {
                return Ok(at);
            }
        }
    }
}

/// Sends the part of the file from `at` to `end`.
fn send(socket: &TcpStream, file: &File, mut at: u64, end: u64) -> io::Result<()> {
    while at < end {
        let left = (end - at) as usize;
        match rustix::fs::sendfile(socket, file, Some(&mut at), left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
