//! A consumer of datagrams at the far end, beside the connection for request and answer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use super::{
    consumer::{Connection, broken},
    far_end::{Arrived, FarEnd},
    request::Request,
};
use crate::{
    Error, Result, Shape, datagram,
    protocol::{Mailbox, Service},
    strategy::calls::STALL_TIMEOUT,
};

/// The most that the kernel accounts for a received datagram besides its bytes: its `sk_buff`, and the
/// unused part of a page.
const OVERHEAD: u64 = 4 << 10;

/// The consumer, and the socket whose datagrams it receives.
pub struct Correspondent {
    connection: Connection,
    socket: UdpSocket,
}

impl Correspondent {
    /// Exchanges the ports of both ends. If the receive buffer cannot hold the whole payload, datagrams
    /// could be lost, and UDP does not retransmit: such a payload is refused.
    pub fn open(request: &Request) -> Result<Self> {
        let connection = Connection::open(request, Service::Datagrams)?;
        let (local, peer) = connection.ends()?;
        let socket = UdpSocket::bind((local.ip(), 0)).map_err(Error::os("make a socket"))?;
        let port = socket.local_addr().map_err(Error::os("ask for the socket's address"))?.port();
        let bytes = request.shape.bytes();
        let theirs = exchange(&connection, Mailbox { port, bytes })
            .map_err(|cause| broken("read", cause, 0, bytes))?;
        let to = SocketAddr::new(peer.ip(), theirs.port);
        socket
            .connect(to)
            .and_then(|()| socket.set_write_timeout(Some(STALL_TIMEOUT)))
            .map_err(Error::os(format!("send datagrams to {to}")))?;
        let needed = accounted(request.shape, datagram::length(socket.as_fd(), request.shape)?);
        if needed > theirs.bytes {
            return Err(too_small(theirs.bytes, needed));
        }
        Ok(Self { connection, socket })
    }
}

fn exchange(connection: &Connection, own: Mailbox) -> io::Result<Mailbox> {
    let mut wire = [0; Mailbox::LENGTH];
    let mut stream = connection.stream();
    stream.write_all(&own.encode())?;
    stream.read_exact(&mut wire)?;
    Ok(Mailbox::decode(&wire))
}

/// The most that the consumer's kernel accounts for the whole payload.
fn accounted(shape: Shape, datagram: usize) -> u64 {
    let datagrams = shape.messages() * shape.message_bytes().div_ceil(datagram as u64);
    shape.bytes() + datagrams * OVERHEAD
}

fn too_small(room: u64, needed: u64) -> Error {
    let reason = format!(
        "the consumer's kernel keeps {} for a socket, and this payload in datagrams may need {}: it \
         could lose some; run the consumer as root, or send fewer messages",
        tracer_ledger::size(room),
        tracer_ledger::size(needed)
    );
    Error::Unsupported { reason }
}

impl FarEnd for Correspondent {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>> {
        let local = self.socket.local_addr().map_err(Error::os("ask for the sender's address"))?;
        let peer = self.socket.peer_addr().map_err(Error::os("ask for the consumer's address"))?;
        Ok(Some((local, peer)))
    }

    /// The kernel keeps all datagrams for the consumer, who may take them later.
    fn arrived(&self) -> Result<Arrived> {
        self.connection.settle()?;
        self.connection.arrived()
    }

    fn lost(&self, sent: u64, received: u64) -> Error {
        Error::DatagramsLost { sent, received }
    }

    fn broken(&self, call: &str, cause: io::Error, sent: u64, total: u64) -> Error {
        broken(call, cause, sent, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_datagrams_need_much_more_room_than_they_have_bytes() {
        let shape = |messages, bytes| Shape::new(messages, bytes).unwrap();
        assert_eq!(accounted(shape(256, 65_536), 32_768), (16 << 20) + 512 * OVERHEAD);
        assert_eq!(accounted(shape(1000, 7), 7), 7000 + 1000 * OVERHEAD);
    }
}
