//! Many connections at once, each with unique byte counts; then many one after the other, whose
//! descriptors, ports, inode numbers and kernel objects are reused.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use anyhow::{Context, ensure};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{
    Place,
    truth::{Buffers, Truth, connection, in_child, memory, wait_for},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Connections that are open at the same time
    #[arg(long)]
    open: usize,
    /// Connections one after the other
    #[arg(long)]
    churn: usize,
}

/// The bytes of connection `index`: the client's, which begin with that number, and the answer's.
fn sizes(index: usize) -> (usize, usize) {
    (8 + index, 20_008 + index)
}

/// Client ports that are reused.
const PORTS: usize = 16;
/// The client's address for those: no other connection has it.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

pub fn run(args: &Args) -> anyhow::Result<()> {
    let (wanted, limit) = (args.open as u64 + 100, rustix::process::Resource::Nofile);
    let mut files = rustix::process::getrlimit(limit);
    files.current = files.maximum;
    ensure!(files.maximum.is_none_or(|most| most >= wanted), "it needs {wanted} open files");
    rustix::process::setrlimit(limit, files)?;

    let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    listener.listen(4096)?;
    let listener = TcpListener::from(listener);
    let port = listener.local_addr()?.port();
    let server = in_child(|| serve(args, &listener))?;
    drop(listener);
    ask(args, port)?;
    wait_for(server, false)
}

struct Side {
    truth: Truth,
    buffers: Buffers,
}

impl Side {
    fn new(args: &Args) -> Self {
        let (_, largest) = sizes(args.open.max(args.churn));
        Self { truth: Truth::default(), buffers: Buffers::new(largest.max(BY_REFERENCE[1])) }
    }

    // The addresses are read before: afterwards the other side may have closed the connection.
    fn send(&mut self, socket: &TcpStream, count: usize) -> anyhow::Result<()> {
        self.truth.moved(&memory(), &end_of(socket)?, count as u64);
        self.buffers.write(socket, count)
    }

    fn receive(&mut self, socket: &TcpStream, count: usize) -> anyhow::Result<()> {
        self.truth.moved(&end_of(socket)?, &memory(), count as u64);
        self.buffers.read(socket, count)
    }

    /// Sends the connection's number to the server.
    fn send_number(&mut self, mut socket: &TcpStream, index: usize) -> anyhow::Result<()> {
        let number = (index as u64).to_ne_bytes().to_vec();
        socket.write_all(&number)?;
        self.truth.moved(&memory(), &end_of(socket)?, 8);
        Ok(())
    }

    /// Reads the connection's number from the client.
    fn meet(&mut self, mut socket: &TcpStream) -> anyhow::Result<usize> {
        let mut number = [0; 8];
        socket.read_exact(&mut number)?;
        self.truth.moved(&end_of(socket)?, &memory(), 8);
        Ok(u64::from_ne_bytes(number) as usize)
    }

    fn answer(&mut self, socket: &TcpStream, index: usize) -> anyhow::Result<()> {
        let (question, answer) = sizes(index);
        self.receive(socket, question - 8)?;
        self.send(socket, answer)
    }

    fn question(&mut self, socket: &TcpStream, index: usize) -> anyhow::Result<()> {
        let (question, answer) = sizes(index);
        self.send(socket, question - 8)?;
        self.receive(socket, answer)
    }
}

fn end_of(socket: &TcpStream) -> anyhow::Result<super::truth::End> {
    Ok(connection(socket.local_addr()?, socket.peer_addr()?))
}

fn serve(args: &Args, listener: &TcpListener) -> anyhow::Result<()> {
    let mut side = Side::new(args);
    let accept = || -> anyhow::Result<TcpStream> { Ok(listener.accept()?.0) };
    let open: Vec<TcpStream> = (0..args.open).map(|_| accept()).collect::<Result<_, _>>()?;
    // Connections that two CPUs establish at the same moment may be accepted in any order.
    let met = open.iter().map(|socket| Ok((side.meet(socket)?, socket)));
    for (index, socket) in met.collect::<anyhow::Result<BTreeMap<_, _>>>()? {
        side.answer(socket, index)?;
    }
    drop(open);
    for _ in 0..args.churn {
        let socket = accept()?;
        let index = side.meet(&socket)?;
        side.answer(&socket, index)?;
        after_the_end(socket)?;
    }
    let mut both = BTreeMap::new();
    for _ in BY_REFERENCE {
        let socket = accept()?;
        both.insert(socket.local_addr()?, socket);
    }
    for (socket, count) in both.into_values().zip(BY_REFERENCE) {
        // Until then its memory could be reused: the kernel copies bytes that are not received yet.
        side.receive(&socket, count)?;
    }
    side.truth.append_to(&args.place.truth)
}

/// Waits until the client has reset the connection, and writes to it all the same: a call on a connection
/// that has ended.
fn after_the_end(mut socket: TcpStream) -> anyhow::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let broken = socket.read(&mut [0]).err().map(|error| error.kind());
    ensure!(broken == Some(ErrorKind::ConnectionReset), "it ended otherwise: {broken:?}");
    ensure!(socket.write(&[0]).is_err(), "nobody can have received that");
    Ok(())
}

fn ask(args: &Args, port: u16) -> anyhow::Result<()> {
    let mut side = Side::new(args);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let open: Vec<TcpStream> =
        (0..args.open).map(|_| TcpStream::connect(server)).collect::<Result<_, _>>()?;
    for (index, socket) in open.iter().enumerate() {
        side.send_number(socket, index)?;
    }
    for (index, socket) in open.iter().enumerate() {
        side.question(socket, index)?;
    }
    drop(open);
    let ports = free_ports()?;
    for index in 0..args.churn {
        let server = SocketAddr::from(([127, 0, 0, 1 + (index / PORTS % 2) as u8], port));
        let socket = connect(SocketAddr::from((CLIENT, ports[index % PORTS])), server)?;
        side.send_number(&socket, index)?;
        side.question(&socket, index)?;
        // Reset, so that the port is free at once.
        SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    }
    // Two open connections with the same two ports, which differ in their addresses.
    let client = SocketAddr::from((CLIENT, ports[0]));
    let both = [1, 2].map(|last| connect(client, SocketAddr::from(([127, 0, 0, last], port))));
    for (socket, count) in both.into_iter().zip(BY_REFERENCE) {
        let socket = socket?;
        send_by_reference(&socket, &side.buffers, count)?;
        side.truth.sent_by_reference(&end_of(&socket)?, count as u64);
        // Waits until the other side has received everything.
        ensure!((&socket).read(&mut [0])? == 0, "an answer nobody asked for");
    }
    side.truth.append_to(&args.place.truth)
}

fn connect(client: SocketAddr, server: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&client.into()).with_context(|| format!("cannot bind to {client}"))?;
    socket.connect(&server.into()).with_context(|| format!("cannot connect to {server}"))?;
    Ok(socket.into())
}

/// Ports that were free a moment ago.
fn free_ports() -> anyhow::Result<Vec<u16>> {
    let sockets: Vec<_> =
        (0..PORTS).map(|_| TcpListener::bind((CLIENT, 0))).collect::<Result<_, _>>()?;
    sockets.iter().map(|socket| Ok(socket.local_addr()?.port())).collect()
}

/// Bytes of the two sends by reference: less than a socket takes at once.
const BY_REFERENCE: [usize; 2] = [30_000, 40_000];

fn send_by_reference(socket: &TcpStream, buffers: &Buffers, count: usize) -> anyhow::Result<()> {
    let (fd, on) = (socket.as_raw_fd(), 1);
    // SAFETY: both point to memory of the given length, which is kept until the other side has received
    // it.
    let sent = unsafe {
        let size = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, (&raw const on).cast(), size);
        let memory = buffers.to_write(count);
        libc::send(fd, memory.as_ptr().cast(), count, libc::MSG_ZEROCOPY)
    };
    ensure!(sent == count as isize, "sent {sent} of {count} bytes");
    Ok(())
}
