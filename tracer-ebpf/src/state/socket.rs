//! Traced sockets, by the address of their `struct sock`.

use aya_ebpf::{
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use tracer_common::{ABSENT, Arrived, Ends, Flow, ON_DEMAND, Socket, flow::ANY};

use super::{
    counters,
    entry::{Entries as _, Entry},
    object::{self, AF_INET, AF_INET6},
};
use crate::kernel::{layout, packet, read};

/// Traced sockets by the address of their `struct sock`.
#[map]
static SOCKETS: HashMap<u64, Socket> = HashMap::with_max_entries(4096, ON_DEMAND);

/// Traced sockets by the addresses and ports in their packets.
#[map]
static SENDERS: HashMap<Ends, u64> = HashMap::with_max_entries(4096, ON_DEMAND);

/// Scratch space for an entry of `SOCKETS`: it is too large for the stack.
#[map]
static SOCKET_DRAFT: PerCpuArray<Socket> = PerCpuArray::with_max_entries(1, 0);

/// The `struct sock` behind a `struct file`; of a file that is no socket, a meaningless address.
#[inline(always)]
fn of_file(file: u64) -> Option<u64> {
    let socket: u64 = read(file, layout!(file_private_data))?;
    read(socket, layout!(socket_sk))
}

/// Starts to trace the socket behind the current process's file descriptor `fd`, whatever its protocol.
#[inline(always)]
pub fn trace(fd: u32, process: u32) -> Option<()> {
    let file = object::file_of(fd)?;
    let destination = object::of_file(file, fd)?;
    insert(of_file(file)?, Flow { process, source: ANY, destination })
}

/// Traces the TCP socket behind `file` until it is closed. `flow`: the last sender, and the object.
/// Returns whether a protocol above TCP takes the bytes, which then do not go straight into packets.
#[inline(always)]
pub fn send_to(file: u64, flow: Flow) -> bool {
    let Some(sock) = of_file(file) else { return false };
    if let Some(mut socket) = SOCKETS.entry(&sock) {
        socket.flow = flow;
        return socket.protocol == packet::TCP && has_upper_protocol(sock);
    }
    if !object::is_socket(file) || !is_open_tcp(sock) {
        return false;
    }
    if insert(sock, flow).is_none() {
        counters::lost();
    }
    has_upper_protocol(sock)
}

/// A connection that has ended reports no more states: its entry would stay until the socket's memory is
/// reused.
#[inline(always)]
fn is_open_tcp(sock: u64) -> bool {
    let family: u16 = read(sock, layout!(sock_family)).unwrap_or(0);
    let kind: u16 = read(sock, layout!(sock_type)).unwrap_or(0);
    let state: u8 = read(sock, layout!(sock_state)).unwrap_or(0);
    (family == AF_INET || family == AF_INET6)
        && kind == SOCK_STREAM
        && u32::from(state) != TCP_CLOSE
}

pub const TCP_CLOSE: u32 = 7;
const SOCK_STREAM: u16 = 1;

#[inline(always)]
fn insert(sock: u64, flow: Flow) -> Option<()> {
    let protocol: u16 = read(sock, layout!(sock_protocol))?;
    // No other CPU has this one's entry.
    let mut draft = SOCKET_DRAFT.entry(&0)?;
    let state = &mut *draft;
    (state.protocol, state.flow) = (protocol, flow);
    (state.sequence_known, state.arrived) = ([0; 2], Arrived::NOTHING);
    describe(sock, &mut state.ends)?;
    SOCKETS.insert(sock, &*state, 0).ok()?;
    SENDERS.insert(&state.ends, sock, 0).ok()
}

/// The addresses and ports of a socket's packets.
#[inline(always)]
fn describe(sock: u64, ends: &mut Ends) -> Option<()> {
    let local: u16 = read(sock, layout!(sock_local_port))?;
    ends.ports = [local.to_be(), read(sock, layout!(sock_remote_port))?];
    let family: u16 = read(sock, layout!(sock_family))?;
    if family == AF_INET6 {
        ends.source = read(sock, layout!(sock_local6))?;
        if ends.source[..12] != IPV4_MAPPED {
            ends.destination = read(sock, layout!(sock_remote6))?;
            return Some(());
        }
    }
    ends.source = padded(read(sock, layout!(sock_local))?);
    ends.destination = padded(read(sock, layout!(sock_remote))?);
    Some(())
}

/// The first 12 bytes of an IPv6 socket's addresses if its packets are IPv4.
const IPV4_MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An IPv4 address in the space of an IPv6 one.
#[inline(always)]
fn padded([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Whether the kernel runs a protocol above TCP for a socket. A socket of another protocol is smaller,
/// and other memory follows it.
#[inline(always)]
fn has_upper_protocol(sock: u64) -> bool {
    let offset = layout!(sock_upper_protocol);
    offset != ABSENT && read::<u64>(sock, offset).is_some_and(|operations| operations != 0)
}

/// Whether a `struct file` is a traced socket.
#[inline(always)]
pub fn is_traced(file: u64) -> bool {
    of_file(file).is_some_and(|sock| SOCKETS.entry(&sock).is_some())
}

/// The traced socket a packet belongs to.
#[inline(always)]
pub fn of_packet(skb: u64) -> Option<Entry<Socket>> {
    let sock: u64 = read(skb, layout!(skb_sk))?;
    SOCKETS.entry(&sock)
}

/// The `struct sock` that sent a packet to a receiver on this machine. Such a packet belongs to no socket
/// any longer, but its headers still have the addresses.
#[inline(always)]
pub fn of_looped_packet(skb: u64) -> Option<u64> {
    let head: u64 = read(skb, layout!(skb_head))?;
    let network: u16 = read(skb, layout!(skb_network_header))?;
    let transport: u16 = read(skb, layout!(skb_transport_header))?;
    let ports = read(head + u64::from(transport), 0)?;
    let header = head + u64::from(network);
    let version: u8 = read(header, 0)?;
    let ends = if version >> 4 == 4 {
        let [source, destination]: [[u8; 4]; 2] = read(header, 12)?;
        Ends { source: padded(source), destination: padded(destination), ports }
    } else {
        let [source, destination] = read(header, 8)?;
        Ends { source, destination, ports }
    };
    // SAFETY: the map's entries are read as a whole.
    unsafe { SENDERS.get(ends) }.copied()
}

/// The flow of the last send through a traced socket.
#[inline(always)]
pub fn flow_through(socket: Entry<Socket>) -> Flow {
    socket.flow
}

/// A traced socket.
#[inline(always)]
pub fn of_sock(sock: u64) -> Option<Entry<Socket>> {
    SOCKETS.entry(&sock)
}

/// Forgets a socket whose memory may be reused.
#[inline(always)]
pub fn forget(sock: u64) {
    if let Some(socket) = SOCKETS.entry(&sock) {
        let _ = SENDERS.remove(&socket.ends);
        let _ = SOCKETS.remove(sock);
    }
}
