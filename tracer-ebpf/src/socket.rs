//! Sockets: which are traced, what enters them by reference, and what the kernel copies of their
//! packets later, in whatever context.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_current_task},
    macros::{fentry, fexit, kprobe, kretprobe, map, raw_tracepoint},
    maps::{HashMap, LruHashMap},
    programs::{FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use tracer_common::{Event, Function, Key, Socket};

use crate::{
    count::{self, SOCKETS, role_in_window},
    kernel::{layout, read},
    netdev, page,
};

/// Traced sockets by their ports.
#[map]
static SENDERS: HashMap<u32, u64> = HashMap::with_max_entries(4096, 0);

/// By thread: 1 if the pages it is passing on are memory of a program.
#[map]
static PASSING_ON: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1024, 0);

/// The `struct sock` behind the current process's file descriptor `fd`; of a file that is no
/// socket, an address that means nothing.
#[inline(always)]
fn of_descriptor(fd: u32) -> Option<u64> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read(task, layout!(task_files))?;
    let table: u64 = read(files, layout!(files_fdt))?;
    let descriptors: u64 = read(table, layout!(fdtable_fd))?;
    let file: u64 = read(descriptors, fd.checked_mul(8)?)?;
    let socket: u64 = read(file, layout!(file_private_data))?;
    read(socket, layout!(socket_sk))
}

/// Starts to trace the socket behind the current process's file descriptor `fd`.
#[inline(always)]
pub fn trace(fd: u32, role: u8) -> Option<()> {
    let sock = of_descriptor(fd)?;
    let state = Socket { role, sequence_known: [0; 2], padding: 0, next_sequence: [0; 2] };
    SOCKETS.insert(sock, state, 0).ok()?;
    let local: u16 = read(sock, layout!(sock_local_port))?;
    let remote: u16 = read(sock, layout!(sock_remote_port))?;
    SENDERS.insert(ports(local.to_be(), remote), sock, 0).ok()
}

/// Whether the current process's file descriptor `fd` is a traced socket.
#[inline(always)]
pub fn is_traced(fd: u32) -> bool {
    of_descriptor(fd).is_some_and(|sock| SOCKETS.get_ptr(sock).is_some())
}

/// Source and destination port as they lie in a TCP header.
#[inline(always)]
fn ports(source: u16, destination: u16) -> u32 {
    u32::from(source) << 16 | u32::from(destination)
}

/// The traced socket a packet belongs to.
#[inline(always)]
pub fn of_packet(skb: u64) -> Option<*mut Socket> {
    let sock: u64 = read(skb, layout!(skb_sk))?;
    SOCKETS.get_ptr_mut(sock)
}

/// The traced socket that sent a packet which is on its way to a receiver on this machine: it
/// belongs to no socket any longer, but still has its ports.
#[inline(always)]
fn of_looped_packet(skb: u64) -> Option<*mut Socket> {
    let head: u64 = read(skb, layout!(skb_head))?;
    let transport: u16 = read(skb, layout!(skb_transport_header))?;
    let tcp = head + u64::from(transport);
    // SAFETY: the map's entries are read as a whole.
    let sock = unsafe { SENDERS.get(ports(read(tcp, 0)?, read(tcp, 2)?)) }?;
    SOCKETS.get_ptr_mut(*sock)
}

/// A function that copies `length` bytes of `skb` inside the kernel, from `offset` on.
#[inline(always)]
fn packet_copied(skb: u64, offset: u32, length: i32, function: Function) -> u32 {
    if let Some(socket) = of_packet(skb) {
        let key = Key {
            event: Event::PacketCopy as u16,
            // SAFETY: the map gave the pointer.
            role: unsafe { (*socket).role },
            kind: u8::from(netdev::sent_before(skb, offset, socket)),
            detail: function as u32,
            address: 0,
        };
        count::add(key, length.max(0) as u64);
    }
    0
}

/// Remembers whose memory a page is that the current thread is about to pass on.
#[inline(always)]
fn pass_on(page: Option<u64>) -> u32 {
    if role_in_window().is_some() {
        let anonymous = page.is_some_and(page::is_anonymous);
        let thread = bpf_get_current_pid_tgid();
        if PASSING_ON.insert(thread, u8::from(anonymous), 0).is_err() {
            count::lost();
        }
    }
    0
}

/// The page that an iterator over pages points to.
#[inline(always)]
fn page_of_iterator(iterator: u64) -> Option<u64> {
    let kind: u8 = read(iterator, layout!(iter_type))?;
    if u32::from(kind) != layout!(kind_bvec) {
        return None;
    }
    page::of_vectors(read(iterator, layout!(iter_bvec))?)
}

/// A function that passed on `returned` bytes by reference in the current process's context.
#[inline(always)]
fn referenced(returned: i32, function: Function, kind: u8) -> u32 {
    if let Some(role) = role_in_window()
        && returned > 0
    {
        let key = Key { kind, detail: function as u32, ..count::key(Event::Reference, role) };
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
    packet_copied(skb, offset as u32, ctx.arg(3).unwrap_or(0), Function::CopyBits)
}

#[fentry]
pub fn fentry_copy_bits(ctx: FEntryContext) -> u32 {
    packet_copied(ctx.arg(0), ctx.arg(1), ctx.arg(3), Function::CopyBits)
}

/// `skb_copy_and_csum_bits(skb, offset, to, len)`
#[kprobe]
pub fn kprobe_copy_and_checksum_bits(ctx: ProbeContext) -> u32 {
    let [skb, offset] = [0, 1].map(|index| ctx.arg(index).unwrap_or(0u64));
    packet_copied(skb, offset as u32, ctx.arg(3).unwrap_or(0), Function::CopyAndChecksumBits)
}

#[fentry]
pub fn fentry_copy_and_checksum_bits(ctx: FEntryContext) -> u32 {
    packet_copied(ctx.arg(0), ctx.arg(1), ctx.arg(3), Function::CopyAndChecksumBits)
}

/// `skb_copy_ubufs(skb, gfp)`: all that the packet has in pages.
#[kprobe]
pub fn kprobe_copy_user_fragments(ctx: ProbeContext) -> u32 {
    fragments_copied(ctx.arg(0).unwrap_or(0))
}

#[fentry]
pub fn fentry_copy_user_fragments(ctx: FEntryContext) -> u32 {
    fragments_copied(ctx.arg(0))
}

#[inline(always)]
fn fragments_copied(skb: u64) -> u32 {
    if let Some(socket) = of_packet(skb).or_else(|| of_looped_packet(skb)) {
        // SAFETY: the map gave the pointer.
        let mut key = count::key(Event::PacketCopy, unsafe { (*socket).role });
        key.detail = Function::CopyUserFragments as u32;
        count::add(key, u64::from(read::<u32>(skb, layout!(skb_data_len)).unwrap_or(0)));
    }
    0
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
    pass_on(Some(ctx.arg(1)))
}

/// Both return the bytes whose pages the socket took.
#[kretprobe]
pub fn kprobe_splice_to_socket(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceToSocket, passed_on())
}

#[fexit]
pub fn fentry_splice_to_socket(ctx: FExitContext) -> u32 {
    referenced(ctx.ret().unwrap_or(0), Function::SpliceToSocket, passed_on())
}

/// `skb_zerocopy_iter_stream` returns the bytes whose pages the socket took.
#[kretprobe]
pub fn kprobe_zero_copy(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::ZeroCopy, 0)
}

#[fexit]
pub fn fentry_zero_copy(ctx: FExitContext) -> u32 {
    referenced(ctx.ret().unwrap_or(0), Function::ZeroCopy, 0)
}

/// `filemap_splice_read` returns the bytes whose pages the pipe took.
#[kretprobe]
pub fn kprobe_splice_from_file(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceFromFile, 0)
}

#[fexit]
pub fn fentry_splice_from_file(ctx: FExitContext) -> u32 {
    referenced(ctx.ret().unwrap_or(0), Function::SpliceFromFile, 0)
}

/// `skb_copy_datagram_iovec(skb, len)`: what a receiver copies out, where no call site is seen.
#[raw_tracepoint(tracepoint = "skb_copy_datagram_iovec")]
pub fn skb_copy_datagram_iovec(ctx: RawTracePointContext) -> i32 {
    if let Some(role) = role_in_window() {
        let length: i32 = ctx.arg(1);
        count::add(count::key(Event::SkbToUser, role), length.max(0) as u64);
    }
    0
}
