//! Network devices: what a driver is given to send for a traced socket.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{Event, Key, Socket};

use crate::{
    count,
    kernel::{layout, read},
    socket,
};

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

/// A TCP packet: how much of it is headers, payload in the linear part, and payload, in bytes,
/// and the sequence number of its first payload byte.
struct Packet {
    headers: u32,
    linear: u32,
    payload: u32,
    sequence: u32,
}

#[inline(always)]
fn parse(skb: u64) -> Option<Packet> {
    let length: u32 = read(skb, layout!(skb_len))?;
    let in_pages: u32 = read(skb, layout!(skb_data_len))?;
    let head: u64 = read(skb, layout!(skb_head))?;
    let data: u64 = read(skb, layout!(skb_data))?;
    let transport: u16 = read(skb, layout!(skb_transport_header))?;
    let tcp = head + u64::from(transport);
    let sequence: u32 = u32::from_be(read(tcp, 4)?);
    let data_offset: u8 = read(tcp, 12)?;
    let headers = (tcp - data) as u32 + u32::from(data_offset >> 4) * 4;
    Some(Packet {
        headers,
        linear: (length - in_pages).saturating_sub(headers),
        payload: length.saturating_sub(headers),
        sequence,
    })
}

#[inline(always)]
fn on_packet(skb: u64, device: u64, socket: *mut Socket) -> Option<()> {
    let packet = parse(skb)?;
    let on_bus = read::<u64>(device, layout!(netdev_parent))? != 0;
    let key = |event: Event| Key {
        event: event as u16,
        // SAFETY: the map gave the pointer.
        role: unsafe { (*socket).role },
        kind: u8::from(on_bus),
        detail: read(device, layout!(netdev_ifindex)).unwrap_or(0),
        address: 0,
    };
    count::add(key(Event::NicHeader), u64::from(packet.headers));
    if packet.payload > 0 {
        let fresh = fresh_bytes(&packet, socket);
        count::add(key(Event::NicPayload), u64::from(fresh));
        if fresh < packet.payload {
            count::add(key(Event::NicRetransmit), u64::from(packet.payload - fresh));
        }
        if packet.linear > 0 {
            count::add(key(Event::NicLinear), u64::from(packet.linear));
        }
    }
    Some(())
}

/// How much of the packet's payload no device was given before; the rest is a retransmission.
#[inline(always)]
fn fresh_bytes(packet: &Packet, socket: *mut Socket) -> u32 {
    let end = packet.sequence.wrapping_add(packet.payload);
    // SAFETY: the map gave the pointer. TCP sends one packet of a socket at a time.
    unsafe {
        if (*socket).sequence_known == 0 {
            (*socket).sequence_known = 1;
            (*socket).next_sequence = packet.sequence;
        }
        let fresh = end.wrapping_sub((*socket).next_sequence) as i32;
        if fresh <= 0 {
            return 0;
        }
        (*socket).next_sequence = end;
        (fresh as u32).min(packet.payload)
    }
}
