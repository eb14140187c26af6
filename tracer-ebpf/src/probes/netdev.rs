//! Network devices: packets of traced sockets that a driver is given to send.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{Event, Key, Socket};

use crate::{
    kernel::{layout, option, packet::Packet, read},
    state::{counters, entry::Entry, sequence, socket},
};

/// `net_dev_start_xmit(skb, dev)` runs in the sender's context or in softirq, so the flow is found by the
/// packet's socket.
#[raw_tracepoint(tracepoint = "net_dev_start_xmit")]
pub fn net_dev_start_xmit(ctx: RawTracePointContext) -> i32 {
    let skb: u64 = ctx.arg(0);
    if let Some(socket) = socket::of_packet(skb)
        && on_packet(skb, ctx.arg(1), socket).is_none()
    {
        counters::lost();
    }
    0
}

/// `net_dev_xmit(skb, rc, dev, len)`: the driver has returned, and may have freed the packet.
#[raw_tracepoint(tracepoint = "net_dev_xmit")]
pub fn net_dev_xmit(ctx: RawTracePointContext) -> i32 {
    if sequence::in_driver(ctx.arg(0)).is_some() {
        sequence::enter_driver(0, false);
    }
    0
}

#[inline(always)]
fn on_packet(skb: u64, device: u64, socket: Entry<Socket>) -> Option<()> {
    let on_bus = read::<u64>(device, layout!(netdev_parent))? != 0;
    if !on_bus && option!(skip_virtual) != 0 {
        return Some(());
    }
    let packet = Packet::parse(skb, socket.protocol)?;
    let key = |event: Event| Key {
        kind: u8::from(on_bus),
        detail: read(device, layout!(netdev_ifindex)).unwrap_or(0),
        ..counters::key(event, socket::flow_through(socket))
    };
    if on_bus {
        counters::add(key(Event::NicHeader), u64::from(packet.headers));
    }
    if packet.payload > 0 {
        let fresh = sequence::fresh_bytes(
            &packet,
            socket,
            if on_bus { sequence::TO_BUS } else { sequence::TO_VIRTUAL },
        );
        sequence::enter_driver(skb, fresh == 0);
        if on_bus {
            counters::add(key(Event::NicPayload), u64::from(fresh));
        }
        if fresh < packet.payload {
            counters::add(key(Event::NicRetransmit), u64::from(packet.payload - fresh));
        }
        if packet.linear > 0 && fresh > 0 {
            counters::add(key(Event::NicLinear), u64::from(packet.linear));
        }
    }
    Some(())
}
