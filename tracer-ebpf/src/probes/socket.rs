//! Traced sockets: pages that enter them by reference, and packets that the kernel copies later, in any
//! context.

use core::hint::black_box;

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{map, raw_tracepoint},
    maps::LruHashMap,
    programs::{RawTracePointContext, tracing::StackIdContext},
};
use tracer_common::{Event, Function, Key, Socket, owner};

use super::function::{AtEntry, AtExit as _, probes};
use crate::{
    kernel::{
        iterator, layout,
        packet::{self, Packet},
        page, read,
    },
    state::{call, counters, entry::Entry, sequence, socket, stack, tasks},
};

/// By thread: the owner of the pages that it is passing on.
#[map]
static PASSING_ON: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1024, 0);

/// `inet_sock_set_state(sk, old, new)`: at the end of a connection the memory of its socket may be
/// reused.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: RawTracePointContext) -> i32 {
    set_state(&ctx)
}

/// A twin for events in an interrupt of the other program: the kernel runs no program within itself, and
/// packets that end dozens of connections may wait for an interrupt.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state_twin(ctx: RawTracePointContext) -> i32 {
    set_state(&ctx)
}

#[inline(always)]
fn set_state(ctx: &RawTracePointContext) -> i32 {
    let (sock, state): (u64, u32) = (ctx.arg(0), ctx.arg(2));
    if state == socket::TCP_CLOSE {
        socket::forget(sock);
    }
    0
}

/// A function of (skb, offset, to, length) that copies bytes of a packet inside the kernel.
#[inline(always)]
fn packet_copied(ctx: &impl AtEntry, function: Function) {
    let (skb, offset, length): (u64, u32, i32) =
        (ctx.argument(0), ctx.argument(1), ctx.argument(3));
    if let Some(socket) = socket::of_packet(skb) {
        let key = Key {
            kind: u8::from(sequence::sent_before(skb, offset, socket)),
            detail: function as u32,
            ..counters::key(Event::PacketCopy, socket::flow_through(socket))
        };
        counters::add(stack::of_packet_copy(ctx, key), length.max(0) as u64);
    }
}

/// Stores the owner of a page that the current thread is about to pass on.
#[inline(always)]
fn pass_on(page: Option<u64>) {
    if tasks::task_in_window().is_some() {
        let owner = page.map_or(owner::PAGE_CACHE, page::owner);
        if PASSING_ON.insert(bpf_get_current_pid_tgid(), owner, 0).is_err() {
            counters::lost();
        }
    }
}

/// The page that an iterator over pages points to.
#[inline(always)]
fn page_of_iterator(iterator: u64) -> Option<u64> {
    if iterator::is_over_pages(iterator::kind(iterator)?) { iterator::page(iterator) } else { None }
}

/// A function that passed on `returned` bytes by reference in the current process's context.
#[inline(always)]
fn referenced(returned: i32, function: Function, kind: u8) {
    if let Some(flow) = call::current_flow()
        && returned > 0
    {
        let key = Key { kind, detail: function as u32, ..counters::key(Event::Reference, flow) };
        counters::add(key, returned as u64);
    }
}

/// The kind that `pass_on` stored for this thread.
#[inline(always)]
fn passed_on() -> u8 {
    // SAFETY: the map's entries are read as a whole.
    unsafe { PASSING_ON.get(bpf_get_current_pid_tgid()) }.copied().unwrap_or(0)
}

#[inline(always)]
fn fragments_copied(ctx: &impl StackIdContext, skb: u64) {
    let own = read(skb, layout!(skb_sk)).filter(|sock| *sock != 0);
    let looped = own.is_none();
    if let Some(sock) = own.or_else(|| socket::of_looped_packet(skb))
        && let Some(socket) = socket::of_sock(sock)
        && on_fragments(ctx, skb, socket, looped).is_none()
    {
        counters::lost();
    }
}

#[inline(always)]
fn on_fragments(
    ctx: &impl StackIdContext,
    skb: u64,
    mut socket: Entry<Socket>,
    looped: bool,
) -> Option<()> {
    let packet = Packet::parse(skb, socket.protocol)?;
    // If a receiver acknowledges late, the same bytes are sent again, and copied again.
    let again = if looped {
        // Two CPUs at once may take a hole for another one.
        socket.protocol != packet::UDP && !socket.arrived.is_first(packet.sequence, packet.payload)
    } else {
        sequence::sent_before(skb, packet.headers, socket)
    };
    let key = Key {
        kind: u8::from(again),
        detail: Function::CopyUserFragments as u32,
        ..counters::key(Event::PacketCopy, socket::flow_through(socket))
    };
    let bytes = u64::from(read::<u32>(skb, layout!(skb_data_len))?);
    counters::add(stack::of_packet_copy(ctx, key), bytes);
    Some(())
}

probes! {
    /// `skb_copy_bits(skb, offset, to, len)`
    entry kprobe_copy_bits, fentry_copy_bits(ctx) {
        packet_copied(&ctx, Function::CopyBits);
    }

    /// `skb_copy_and_csum_bits(skb, offset, to, len)`
    entry kprobe_copy_and_checksum_bits, fentry_copy_and_checksum_bits(ctx) {
        packet_copied(&ctx, Function::CopyAndChecksumBits);
    }

    /// `skb_copy_ubufs(skb, gfp)`: all bytes that the packet has in pages.
    entry kprobe_copy_user_fragments, fentry_copy_user_fragments(ctx) {
        fragments_copied(&ctx, ctx.argument(0));
    }

    /// `skb_splice_from_iter(skb, iter, maxsize, gfp)`
    entry kprobe_pass_on_iterator, fentry_pass_on_iterator(ctx) {
        pass_on(page_of_iterator(ctx.argument(1)));
    }

    /// `do_tcp_sendpages(sk, page, offset, size, flags)`
    entry kprobe_pass_on_page, fentry_pass_on_page(ctx) {
        pass_on(ctx.address(1));
    }

    /// Both return the bytes whose pages the socket took.
    exit kprobe_splice_to_socket, fentry_splice_to_socket(ctx) {
        referenced(ctx.returned(), Function::SpliceToSocket, passed_on());
    }

    /// `skb_zerocopy_iter_stream` returns the bytes whose pages the socket took.
    exit kprobe_zero_copy, fentry_zero_copy(ctx) {
        referenced(ctx.returned(), Function::ZeroCopy, 0);
    }

    /// `filemap_splice_read` returns the bytes whose pages the pipe took.
    exit kprobe_splice_from_file, fentry_splice_from_file(ctx) {
        referenced(ctx.returned(), Function::SpliceFromFile, 0);
    }

    /// `tcp_splice_read` returns the bytes whose pages the pipe took.
    exit kprobe_splice_from_socket, fentry_splice_from_socket(ctx) {
        referenced(ctx.returned(), Function::SpliceFromSocket, 0);
    }

    /// `__zerocopy_sg_from_iter([msg, ]sk, skb, from, length)`: bytes whose pages a datagram takes. TCP
    /// calls it too, and is seen in its caller.
    entry kprobe_zero_copy_datagram, fentry_zero_copy_datagram(ctx) {
        // Older verifiers refuse a single load from either address, which the compiler would make of the
        // two.
        let (sock, length) = match layout!(datagram_socket_argument) {
            0 => (black_box(ctx.argument(0)), black_box(ctx.argument(3))),
            _ => (ctx.argument(1), ctx.argument(4)),
        };
        if read::<u16>(sock, layout!(sock_protocol)) == Some(packet::UDP) {
            referenced(length, Function::ZeroCopyDatagram, 0);
        }
    }
}

/// `skb_copy_datagram_iovec(skb, len)`: bytes copied to a receiver, where no call site is seen.
#[raw_tracepoint(tracepoint = "skb_copy_datagram_iovec")]
pub fn skb_copy_datagram_iovec(ctx: RawTracePointContext) -> i32 {
    if let Some(flow) = call::current_flow() {
        let length: i32 = ctx.arg(1);
        let key = stack::of_any_copy(&ctx, counters::key(Event::SkbToUser, flow));
        counters::add(key, length.max(0) as u64);
    }
    0
}
