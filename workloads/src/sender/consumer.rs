//! A consumer at the far end, behind a connection.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    far_end::{Arrived, FarEnd},
    request::Request,
};
use crate::{
    Error, Receiver, Result, Shape, page,
    protocol::{Answer, Order, Service},
    strategy::calls::STALL_TIMEOUT,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of a segment, where whole pages must arrive: as many as TCP_MAXSEG allows.
const SEGMENT_OF_PAGES: u32 = 7;
/// Bytes of a segment that TCP's timestamps take.
const TIMESTAMPS: u32 = 12;

/// The connection, after the consumer has accepted the request.
pub struct Connection {
    socket: TcpStream,
    service: Service,
    shape: Shape,
}

impl Connection {
    /// Asks the consumer for a service.
    pub fn open(request: &Request, service: Service) -> Result<Self> {
        let addr = match request.to {
            Some(Receiver::Consumer(addr)) => addr,
            Some(Receiver::Dummy) => return Err(needs_answers()),
            None => return Err(Error::NoConsumer { strategy: request.strategy.name }),
        };
        let socket = connect(addr, service)?;
        ask(&socket, addr, service, request)?;
        Ok(Self { socket, service, shape: request.shape })
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        &self.socket
    }

    /// This process's address, and the consumer's.
    pub fn ends(&self) -> Result<(SocketAddr, SocketAddr)> {
        let local = self.socket.local_addr().map_err(Error::os("ask for the sender's address"))?;
        let peer = self.socket.peer_addr().map_err(Error::os("ask for the consumer's address"))?;
        Ok((local, peer))
    }
}

impl FarEnd for Connection {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>> {
        self.ends().map(Some)
    }

    fn start(&self) -> Result<()> {
        if !self.service.sends() {
            return Ok(());
        }
        let go = (&self.socket).write_all(&[1]);
        go.map_err(|cause| broken("write", cause, 0, self.shape.bytes()))
    }

    /// Ends the stream, and waits for the consumer to answer.
    fn settle(&self) -> Result<()> {
        if self.service.sends() {
            return Ok(());
        }
        let sent = self.shape.bytes();
        self.socket
            .shutdown(Shutdown::Write)
            .and_then(|()| self.socket.peek(&mut [0]))
            .map(drop)
            .map_err(|cause| broken("read", cause, sent, sent))
    }

    /// Hears what the consumer received.
    fn arrived(&self) -> Result<Arrived> {
        let mut wire = [0; Answer::LENGTH];
        let sent = self.shape.bytes();
        (&self.socket).read_exact(&mut wire).map_err(|cause| broken("read", cause, sent, sent))?;
        Ok(Answer::decode(&wire).into())
    }

    fn broken(&self, call: &str, cause: io::Error, sent: u64, total: u64) -> Error {
        broken(call, cause, sent, total)
    }
}

fn connect(addr: SocketAddr, service: Service) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)
        .map_err(Error::os("make a socket"))?;
    if service == Service::SendPages {
        socket
            .set_tcp_mss(SEGMENT_OF_PAGES * page::size() as u32 + TIMESTAMPS)
            .map_err(Error::os("ask for segments of whole pages"))?;
    }
    socket
        .connect_timeout(&addr.into(), CONNECT_TIMEOUT)
        .map_err(|cause| Error::Unreachable { addr, cause })?;
    let socket = TcpStream::from(socket);
    // As in brokers: the end of a message does not wait for an acknowledgement.
    socket
        .set_nodelay(true)
        .and_then(|()| socket.set_write_timeout(Some(STALL_TIMEOUT)))
        .and_then(|()| socket.set_read_timeout(Some(STALL_TIMEOUT)))
        .map_err(Error::os("set the connection's options"))?;
    Ok(socket)
}

/// Sends the request to the consumer, and waits until it is ready.
fn ask(
    mut socket: &TcpStream,
    addr: SocketAddr,
    service: Service,
    request: &Request,
) -> Result<()> {
    let asked = service.encode();
    let mut echo = [0; Service::LENGTH];
    socket
        .write_all(&asked)
        .and_then(|()| socket.read_exact(&mut echo))
        .map_err(|cause| broken("read", cause, 0, request.shape.bytes()))?;
    if echo != asked {
        return Err(Error::Stranger { addr });
    }
    if !service.sends() {
        return Ok(());
    }
    let Request { seed, shape, .. } = request;
    let (messages, message_bytes) = (shape.messages(), shape.message_bytes());
    let order = Order { seed: *seed, messages, message_bytes };
    socket
        .write_all(&order.encode())
        .and_then(|()| socket.read_exact(&mut echo))
        .map_err(|cause| broken("read", cause, 0, shape.bytes()))
}

/// The error for a route without a connection.
fn needs_answers() -> Error {
    let reason = "a dummy device drops whatever it is given, and a connection needs answers: only \
                  datagrams can be sent to it; use --to loopback or --to nic";
    Error::Unsupported { reason: reason.into() }
}

/// The error for a failed call on the connection.
pub fn broken(name: &str, cause: io::Error, sent: u64, total: u64) -> Error {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
        WouldBlock,
    };
    match cause.kind() {
        // `ConnectionRefused`: an ICMP message says that nothing receives the datagrams there.
        BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | UnexpectedEof => {
            Error::Disconnected { sent, total, cause }
        }
        // A blocking socket returns this at its timeout.
        WouldBlock => Error::Stalled { seconds: STALL_TIMEOUT.as_secs(), sent, total },
        _ => Error::os(format!("{name} after {sent} of {total} bytes"))(cause),
    }
}
