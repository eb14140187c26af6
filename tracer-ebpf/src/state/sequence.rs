//! The bytes of a socket that network devices were given before: TCP sends some bytes again.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_common::Socket;

use super::entry::{Entries as _, Entry};
use crate::kernel::packet::{Packet, UDP};

/// Indices into the sequence numbers of a socket.
pub const TO_VIRTUAL: usize = 0;
pub const TO_BUS: usize = 1;

/// The packet that this CPU is giving to a driver.
#[derive(Clone, Copy)]
struct InDriver {
    /// Address of its `struct sk_buff`, or 0.
    skb: u64,
    /// 1 if it is a retransmission.
    again: u64,
}

#[map]
static IN_DRIVER: PerCpuArray<InDriver> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
pub fn enter_driver(skb: u64, again: bool) {
    if let Some(mut slot) = IN_DRIVER.entry(&0) {
        // No other CPU has this one's entry.
        *slot = InDriver { skb, again: u64::from(again) };
    }
}

/// Whether a packet that this CPU is giving to a driver is a retransmission.
#[inline(always)]
pub fn in_driver(skb: u64) -> Option<bool> {
    let current = IN_DRIVER.entry(&0)?;
    (current.skb == skb).then_some(current.again != 0)
}

/// How much of the packet's payload no such device was given before; the rest is a retransmission.
#[inline(always)]
pub fn fresh_bytes(packet: &Packet, mut socket: Entry<Socket>, index: usize) -> u32 {
    if socket.protocol == UDP {
        // Datagrams are not retransmitted.
        return packet.payload;
    }
    let end = packet.sequence.wrapping_add(packet.payload);
    // TCP sends one packet of a socket at a time.
    let socket = &mut *socket;
    let (known, next) = (&mut socket.sequence_known[index], &mut socket.next_sequence[index]);
    if *known == 0 {
        (*known, *next) = (1, packet.sequence);
    }
    let fresh = end.wrapping_sub(*next) as i32;
    if fresh <= 0 {
        return 0;
    }
    *next = end;
    (fresh as u32).min(packet.payload)
}

/// Whether a device was given the byte at `offset` of a packet before: then the packet is a
/// retransmission. A driver that copies the packet while sending it has it for the first time.
#[inline(always)]
pub fn sent_before(skb: u64, offset: u32, socket: Entry<Socket>) -> bool {
    if let Some(again) = in_driver(skb) {
        return again;
    }
    if socket.protocol == UDP {
        return false;
    }
    let Some(packet) = Packet::parse(skb, socket.protocol) else { return false };
    let sequence = packet.sequence.wrapping_add(offset.wrapping_sub(packet.headers));
    let (known, next) = (socket.sequence_known, socket.next_sequence);
    let before = |next: u32| (sequence.wrapping_sub(next) as i32) < 0;
    match known {
        [_, 1] => before(next[TO_BUS]),
        [1, _] => before(next[TO_VIRTUAL]),
        _ => false,
    }
}
