//! Network devices: what a driver is given to send for a traced socket.

use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::PerCpuArray,
    programs::RawTracePointContext,
};
use tracer_common::{Event, Key, Socket};

use crate::{
    count,
    kernel::{layout, option, read},
    packet::{Packet, UDP},
    socket,
};

/// Indices into what a socket knows of its sequence numbers.
const TO_VIRTUAL: usize = 0;
const TO_BUS: usize = 1;

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

/// `net_dev_start_xmit(skb, dev)` runs in the sender's context or in softirq, so the packet's
/// socket says whose it is.
#[raw_tracepoint(tracepoint = "net_dev_start_xmit")]
pub fn net_dev_start_xmit(ctx: RawTracePointContext) -> i32 {
    let skb: u64 = ctx.arg(0);
    if let Some(socket) = socket::of_packet(skb)
        && on_packet(skb, ctx.arg(1), socket).is_none()
    {
        count::lost();
    }
    0
}

/// `net_dev_xmit(skb, rc, dev, len)`: the driver returned, and the packet may be gone.
#[raw_tracepoint(tracepoint = "net_dev_xmit")]
pub fn net_dev_xmit(ctx: RawTracePointContext) -> i32 {
    if in_driver(ctx.arg(0)).is_some() {
        enter_driver(0, false);
    }
    0
}

#[inline(always)]
fn enter_driver(skb: u64, again: bool) {
    if let Some(slot) = IN_DRIVER.get_ptr_mut(0) {
        // SAFETY: the map gave the pointer, and no other CPU has this one's entry.
        unsafe { *slot = InDriver { skb, again: u64::from(again) } };
    }
}

/// Whether a packet that this CPU is giving to a driver is a retransmission.
#[inline(always)]
fn in_driver(skb: u64) -> Option<bool> {
    // SAFETY: as in `enter_driver`.
    let current = unsafe { *IN_DRIVER.get_ptr(0)? };
    (current.skb == skb).then_some(current.again != 0)
}

#[inline(always)]
fn on_packet(skb: u64, device: u64, socket: *mut Socket) -> Option<()> {
    let on_bus = read::<u64>(device, layout!(netdev_parent))? != 0;
    if !on_bus && option!(skip_virtual) != 0 {
        return Some(());
    }
    // SAFETY: the map gave the pointer.
    let packet = Packet::parse(skb, unsafe { (*socket).protocol })?;
    let key = |event: Event| Key {
        kind: u8::from(on_bus),
        detail: read(device, layout!(netdev_ifindex)).unwrap_or(0),
        ..count::key(event, count::flow_through(socket))
    };
    if on_bus {
        count::add(key(Event::NicHeader), u64::from(packet.headers));
    }
    if packet.payload > 0 {
        let fresh = fresh_bytes(&packet, socket, if on_bus { TO_BUS } else { TO_VIRTUAL });
        enter_driver(skb, fresh == 0);
        if on_bus {
            count::add(key(Event::NicPayload), u64::from(fresh));
        }
        if fresh < packet.payload {
            count::add(key(Event::NicRetransmit), u64::from(packet.payload - fresh));
        }
        if packet.linear > 0 && fresh > 0 {
            count::add(key(Event::NicLinear), u64::from(packet.linear));
        }
    }
    Some(())
}

/// How much of the packet's payload no such device was given before; the rest is a
/// retransmission.
#[inline(always)]
fn fresh_bytes(packet: &Packet, socket: *mut Socket, index: usize) -> u32 {
    // SAFETY: the map gave the pointer.
    if unsafe { (*socket).protocol } == UDP {
        // Nobody sends a datagram again.
        return packet.payload;
    }
    let end = packet.sequence.wrapping_add(packet.payload);
    // SAFETY: the map gave the pointer. TCP sends one packet of a socket at a time.
    let (known, next) =
        unsafe { (&mut (*socket).sequence_known[index], &mut (*socket).next_sequence[index]) };
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
/// retransmission. A driver that copies has the packet for the first time.
#[inline(always)]
pub fn sent_before(skb: u64, offset: u32, socket: *mut Socket) -> bool {
    if let Some(again) = in_driver(skb) {
        return again;
    }
    // SAFETY: the map gave the pointer.
    let protocol = unsafe { (*socket).protocol };
    if protocol == UDP {
        return false;
    }
    let Some(packet) = Packet::parse(skb, protocol) else { return false };
    let sequence = packet.sequence.wrapping_add(offset.wrapping_sub(packet.headers));
    // SAFETY: the map gave the pointer.
    let (known, next) = unsafe { ((*socket).sequence_known, (*socket).next_sequence) };
    let before = |next: u32| (sequence.wrapping_sub(next) as i32) < 0;
    match known {
        [_, 1] => before(next[TO_BUS]),
        [1, _] => before(next[TO_VIRTUAL]),
        _ => false,
    }
}
