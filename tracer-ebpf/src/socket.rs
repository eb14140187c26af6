//! Sockets: which are traced, what enters them by reference, and what the kernel copies of their
//! packets later, in whatever context.

use aya_ebpf::{
    helpers::bpf_get_current_task,
    macros::{fentry, fexit, kprobe, kretprobe, raw_tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use tracer_common::{Event, Function, Key, Socket};

use crate::{
    count::{self, SOCKETS, role_in_window},
    kernel::{layout, read},
    netdev,
};

/// Starts to trace the socket behind the current process's file descriptor `fd`.
#[inline(always)]
pub fn trace(fd: u32, role: u8) -> Option<()> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read(task, layout!(task_files))?;
    let table: u64 = read(files, layout!(files_fdt))?;
    let descriptors: u64 = read(table, layout!(fdtable_fd))?;
    let file: u64 = read(descriptors, fd.checked_mul(8)?)?;
    let socket: u64 = read(file, layout!(file_private_data))?;
    let sock: u64 = read(socket, layout!(socket_sk))?;
    let state = Socket { role, sequence_known: [0; 2], padding: 0, next_sequence: [0; 2] };
    SOCKETS.insert(sock, state, 0).ok()
}

/// The traced socket a packet belongs to.
#[inline(always)]
pub fn of_packet(skb: u64) -> Option<*mut Socket> {
    let sock: u64 = read(skb, layout!(skb_sk))?;
    SOCKETS.get_ptr_mut(sock)
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

/// A function that passed on `returned` bytes by reference in the current process's context.
#[inline(always)]
fn referenced(returned: i32, function: Function) -> u32 {
    if let Some(role) = role_in_window()
        && returned > 0
    {
        let mut key = count::key(Event::Reference, role);
        key.detail = function as u32;
        count::add(key, returned as u64);
    }
    0
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

/// `skb_splice_from_iter` and its forerunner return the bytes whose pages the socket took.
#[kretprobe]
pub fn kprobe_splice_to_socket(ctx: RetProbeContext) -> u32 {
    referenced(ctx.ret(), Function::SpliceToSocket)
}

#[fexit]
pub fn fentry_splice_to_socket(ctx: FExitContext) -> u32 {
    referenced(ctx.ret().unwrap_or(0), Function::SpliceToSocket)
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
