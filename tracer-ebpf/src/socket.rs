//! Sockets: which are traced, what enters them by reference, and what the kernel copies of their
//! packets later, in whatever context.

use core::hint::black_box;

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, fexit, kprobe, kretprobe, map, raw_tracepoint},
    maps::{HashMap, LruHashMap, PerCpuArray},
    programs::{
        FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
        tracing::StackIdContext,
    },
};
use tracer_common::{
    ABSENT, Arrived, Ends, Event, Flow, Function, Key, ON_DEMAND, Socket, flow::ANY, owner,
};

use crate::{
    count::{self, SOCKETS},
    iterator,
    kernel::{layout, read},
    netdev,
    object::{self, AF_INET, AF_INET6},
    packet::{self, Packet},
    page, stack,
};

/// Traced sockets by what their packets say of themselves.
#[map]
static SENDERS: HashMap<Ends, u64> = HashMap::with_max_entries(4096, ON_DEMAND);

/// Where an entry of `SOCKETS` is put together: it is too large for the stack.
#[map]
static SOCKET_DRAFT: PerCpuArray<Socket> = PerCpuArray::with_max_entries(1, 0);

/// By thread: whose memory the pages are that it is passing on.
#[map]
static PASSING_ON: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1024, 0);

/// The `struct sock` behind a `struct file`; of a file that is no socket, an address that means nothing.
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

/// Traces the socket that is behind `file`, if it is one of TCP, until it is closed: the process
/// and the object of `flow` have sent through it last. Answers whether what is sent does not go straight
/// into packets.
#[inline(always)]
pub fn send_to(file: u64, flow: Flow) -> bool {
    let Some(sock) = of_file(file) else { return false };
    if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        // SAFETY: the map gave the pointer.
        unsafe { (*socket).flow = flow };
        // SAFETY: as above.
        return unsafe { (*socket).protocol } == packet::TCP && has_upper_protocol(sock);
    }
    if !object::is_socket(file) || !is_open_tcp(sock) {
        return false;
    }
    if insert(sock, flow).is_none() {
        count::lost();
    }
    has_upper_protocol(sock)
}

/// Of a connection that has ended nobody will say again that it does: its entry would stay until the
/// socket's memory is another one's.
#[inline(always)]
fn is_open_tcp(sock: u64) -> bool {
    let family: u16 = read(sock, layout!(sock_family)).unwrap_or(0);
    let kind: u16 = read(sock, layout!(sock_type)).unwrap_or(0);
    let state: u8 = read(sock, layout!(sock_state)).unwrap_or(0);
    (family == AF_INET || family == AF_INET6)
        && kind == SOCK_STREAM
        && u32::from(state) != TCP_CLOSE
}

const TCP_CLOSE: u32 = 7;
const SOCK_STREAM: u16 = 1;

/// `inet_sock_set_state(sk, old, new)`: at the end of a connection the memory of its socket may
/// become another one's.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: RawTracePointContext) -> i32 {
    set_state(&ctx)
}

/// The same once more, for what happens in an interrupt of the other one: the kernel runs no program
/// within itself, and packets that end dozens of connections may wait for an interrupt.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state_twin(ctx: RawTracePointContext) -> i32 {
    set_state(&ctx)
}

#[inline(always)]
fn set_state(ctx: &RawTracePointContext) -> i32 {
    let (sock, state): (u64, u32) = (ctx.arg(0), ctx.arg(2));
    if state == TCP_CLOSE
        && let Some(socket) = SOCKETS.get_ptr(sock)
    {
        // SAFETY: the map gave the pointer.
        let _ = SENDERS.remove(unsafe { &(*socket).ends });
        let _ = SOCKETS.remove(sock);
    }
    0
}

#[inline(always)]
fn insert(sock: u64, flow: Flow) -> Option<()> {
    let protocol: u16 = read(sock, layout!(sock_protocol))?;
    let draft = SOCKET_DRAFT.get_ptr_mut(0)?;
    // SAFETY: the map gave the pointer, and no other CPU has this one's entry.
    let state = unsafe { &mut *draft };
    (state.protocol, state.flow) = (protocol, flow);
    (state.sequence_known, state.arrived) = ([0; 2], Arrived::NOTHING);
    describe(sock, &mut state.ends)?;
    SOCKETS.insert(sock, &*state, 0).ok()?;
    SENDERS.insert(&state.ends, sock, 0).ok()
}

/// Where a socket's packets come from, and where they go to.
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

/// What an IPv6 socket's addresses begin with if its packets are of IPv4.
const IPV4_MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An address of IPv4 in the room of one of IPv6.
#[inline(always)]
fn padded([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Whether the kernel runs a protocol above TCP for a socket. Behind a socket of another protocol there is
/// memory that is not the socket's.
#[inline(always)]
fn has_upper_protocol(sock: u64) -> bool {
    let offset = layout!(sock_upper_protocol);
    offset != ABSENT && read::<u64>(sock, offset).is_some_and(|operations| operations != 0)
}

/// Whether a `struct file` is a traced socket.
#[inline(always)]
pub fn is_traced(file: u64) -> bool {
    of_file(file).is_some_and(|sock| SOCKETS.get_ptr(sock).is_some())
}

/// The traced socket a packet belongs to.
#[inline(always)]
pub fn of_packet(skb: u64) -> Option<*mut Socket> {
    let sock: u64 = read(skb, layout!(skb_sk))?;
    SOCKETS.get_ptr_mut(sock)
}

/// The `struct sock` that sent a packet which is on its way to a receiver on this machine: the packet
/// belongs to no socket any longer, but still says from where to where it goes.
#[inline(always)]
fn of_looped_packet(skb: u64) -> Option<u64> {
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

/// A function that copies `length` bytes of `skb` inside the kernel, from `offset` on.
#[inline(always)]
fn packet_copied(
    ctx: &impl StackIdContext,
    skb: u64,
    offset: u32,
    length: i32,
    function: Function,
) -> u32 {
    if let Some(socket) = of_packet(skb) {
        let key = Key {
            kind: u8::from(netdev::sent_before(skb, offset, socket)),
            detail: function as u32,
            ..count::key(Event::PacketCopy, count::flow_through(socket))
        };
        count::add(stack::of_packet_copy(ctx, key), length.max(0) as u64);
    }
    0
}

/// Remembers whose memory a page is that the current thread is about to pass on.
#[inline(always)]
fn pass_on(page: Option<u64>) -> u32 {
    if count::task_in_window().is_some() {
        let owner = page.map_or(owner::PAGE_CACHE, page::owner);
        if PASSING_ON.insert(bpf_get_current_pid_tgid(), owner, 0).is_err() {
            count::lost();
        }
    }
    0
}

/// The page that an iterator over pages points to.
#[inline(always)]
fn page_of_iterator(iterator: u64) -> Option<u64> {
    if iterator::is_over_pages(iterator::kind(iterator)?) { iterator::page(iterator) } else { None }
}

/// A function that passed on `returned` bytes by reference in the current process's context.
#[inline(always)]
fn referenced(returned: i32, function: Function, kind: u8) -> u32 {
    if let Some(flow) = count::current_flow()
        && returned > 0
    {
        let key = Key { kind, detail: function as u32, ..count::key(Event::Reference, flow) };
        count::add(key, returned as u64);
    }
    0
}

/// What `pass_on` remembered.
#[inline(always)]
fn passed_on() -> u8 {
    // SAFETY: the map's entries are read as a whole.
    unsafe { PASSING_ON.get(bpf_get_current_pid_tgid()) }.copied().unwrap_or(0)
}

/// `skb_copy_bits(skb, offset, to, len)`
#[kprobe]
pub fn kprobe_copy_bits(ctx: ProbeContext) -> u32 {
    let [skb, offset] = [0, 1].map(|index| ctx.arg(index).unwrap_or(0u64));
    packet_copied(&ctx, skb, offset as u32, ctx.arg(3).unwrap_or(0), Function::CopyBits)
}

#[fentry]
pub fn fentry_copy_bits(ctx: FEntryContext) -> u32 {
    packet_copied(&ctx, ctx.arg(0), ctx.arg(1), ctx.arg(3), Function::CopyBits)
}

/// `skb_copy_and_csum_bits(skb, offset, to, len)`
#[kprobe]
pub fn kprobe_copy_and_checksum_bits(ctx: ProbeContext) -> u32 {
    let [skb, offset] = [0, 1].map(|index| ctx.arg(index).unwrap_or(0u64));
    packet_copied(&ctx, skb, offset as u32, ctx.arg(3).unwrap_or(0), Function::CopyAndChecksumBits)
}

#[fentry]
pub fn fentry_copy_and_checksum_bits(ctx: FEntryContext) -> u32 {
    packet_copied(&ctx, ctx.arg(0), ctx.arg(1), ctx.arg(3), Function::CopyAndChecksumBits)
}

/// `skb_copy_ubufs(skb, gfp)`: all that the packet has in pages.
#[kprobe]
pub fn kprobe_copy_user_fragments(ctx: ProbeContext) -> u32 {
    fragments_copied(&ctx, ctx.arg(0).unwrap_or(0))
}

#[fentry]
pub fn fentry_copy_user_fragments(ctx: FEntryContext) -> u32 {
    fragments_copied(&ctx, ctx.arg(0))
}

#[inline(always)]
fn fragments_copied(ctx: &impl StackIdContext, skb: u64) -> u32 {
    let own = read(skb, layout!(skb_sk)).filter(|sock| *sock != 0);
    let looped = own.is_none();
    if let Some(sock) = own.or_else(|| of_looped_packet(skb))
        && let Some(socket) = SOCKETS.get_ptr_mut(sock)
        && on_fragments(ctx, skb, socket, looped).is_none()
    {
        count::lost();
    }
    0
}

#[inline(always)]
fn on_fragments(
    ctx: &impl StackIdContext,
    skb: u64,
    socket: *mut Socket,
    looped: bool,
) -> Option<()> {
    // SAFETY: the map gave the pointer.
    let protocol = unsafe { (*socket).protocol };
    let packet = Packet::parse(skb, protocol)?;
    // A receiver that is slow to answer is sent the same bytes again, and they are copied again.
    let again = if looped {
        // SAFETY: the map gave the pointer. Two processors at once may take a hole for another.
        let arrived = unsafe { &mut (*socket).arrived };
        // Nobody sends a datagram again.
        protocol != packet::UDP && !arrived.is_first(packet.sequence, packet.payload)
    } else {
        netdev::sent_before(skb, packet.headers, socket)
    };
    let key = Key {
        kind: u8::from(again),
        detail: Function::CopyUserFragments as u32,
        ..count::key(Event::PacketCopy, count::flow_through(socket))
    };
    let bytes = u64::from(read::<u32>(skb, layout!(skb_data_len))?);
    count::add(stack::of_packet_copy(ctx, key), bytes);
    Some(())
}

/// `skb_splice_from_iter(skb, iter, maxsize, gfp)`
#[kprobe]
pub fn kprobe_pass_on_iterator(ctx: ProbeContext) -> u32 {
    pass_on(page_of_iterator(ctx.arg(1).unwrap_or(0)))
}

#[fentry]
pub fn fentry_pass_on_iterator(ctx: FEntryContext) -> u32 {
    pass_on(page_of_iterator(ctx.arg(1)))
}

/// `do_tcp_sendpages(sk, page, offset, size, flags)`
#[kprobe]
pub fn kprobe_pass_on_page(ctx: ProbeContext) -> u32 {
    pass_on(ctx.arg(1))
}

#[fentry]
pub fn fentry_pass_on_page(ctx: FEntryContext) -> u32 {
    // As a number: with what the verifier knows for a pointer there is no calculating.
    pass_on(read(ctx.as_ptr() as u64, size_of::<u64>() as u32))
}

/// What the function returned that has ended.
#[inline(always)]
fn returned(ctx: &FExitContext) -> i32 {
    /// All functions that are looked at have so many where the helper is missing; what they return comes
    /// after them.
    const ARGUMENTS: usize = 5;
    if layout!(helper_get_func_ret) == ABSENT {
        return ctx.arg(ARGUMENTS);
    }
    ctx.ret().unwrap_or(0)
}

/// Both return the bytes whose pages the socket took.
#[kretprobe]
pub fn kprobe_splice_to_socket(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceToSocket, passed_on())
}

#[fexit]
pub fn fentry_splice_to_socket(ctx: FExitContext) -> u32 {
    referenced(returned(&ctx), Function::SpliceToSocket, passed_on())
}

/// `skb_zerocopy_iter_stream` returns the bytes whose pages the socket took.
#[kretprobe]
pub fn kprobe_zero_copy(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::ZeroCopy, 0)
}

#[fexit]
pub fn fentry_zero_copy(ctx: FExitContext) -> u32 {
    referenced(returned(&ctx), Function::ZeroCopy, 0)
}

/// `filemap_splice_read` returns the bytes whose pages the pipe took.
#[kretprobe]
pub fn kprobe_splice_from_file(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceFromFile, 0)
}

#[fexit]
pub fn fentry_splice_from_file(ctx: FExitContext) -> u32 {
    referenced(returned(&ctx), Function::SpliceFromFile, 0)
}

/// `tcp_splice_read` returns the bytes whose pages the pipe took.
#[kretprobe]
pub fn kprobe_splice_from_socket(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceFromSocket, 0)
}

#[fexit]
pub fn fentry_splice_from_socket(ctx: FExitContext) -> u32 {
    referenced(returned(&ctx), Function::SpliceFromSocket, 0)
}

/// `__zerocopy_sg_from_iter([msg, ]sk, skb, from, length)`: bytes whose pages a datagram takes. TCP comes
/// here too, and is seen on its way.
#[inline(always)]
fn zero_copy_datagram(sock: u64, length: u64) -> u32 {
    match read::<u16>(sock, layout!(sock_protocol)) {
        Some(packet::UDP) => referenced(length as i32, Function::ZeroCopyDatagram, 0),
        _ => 0,
    }
}

#[kprobe]
pub fn kprobe_zero_copy_datagram(ctx: ProbeContext) -> u32 {
    let argument = |index: usize| ctx.arg(index).unwrap_or(0);
    match layout!(datagram_socket_argument) {
        0 => zero_copy_datagram(argument(0), argument(3)),
        _ => zero_copy_datagram(argument(1), argument(4)),
    }
}

#[fentry]
pub fn fentry_zero_copy_datagram(ctx: FEntryContext) -> u32 {
    // Older verifiers refuse one load of either, which the compiler would make of the two.
    let (sock, length) = match layout!(datagram_socket_argument) {
        0 => (black_box(ctx.arg(0)), black_box(ctx.arg(3))),
        _ => (ctx.arg(1), ctx.arg(4)),
    };
    zero_copy_datagram(sock, length)
}

/// `skb_copy_datagram_iovec(skb, len)`: what a receiver copies out, where no call site is seen.
#[raw_tracepoint(tracepoint = "skb_copy_datagram_iovec")]
pub fn skb_copy_datagram_iovec(ctx: RawTracePointContext) -> i32 {
    if let Some(flow) = count::current_flow() {
        let length: i32 = ctx.arg(1);
        let key = stack::of_any_copy(&ctx, count::key(Event::SkbToUser, flow));
        count::add(key, length.max(0) as u64);
    }
    0
}
