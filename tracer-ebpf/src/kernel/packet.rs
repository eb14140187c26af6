//! Packets of TCP and UDP as `struct sk_buff` describes them.

use super::{layout, read};

/// `IPPROTO_TCP`
pub const TCP: u16 = 6;

/// `IPPROTO_UDP`
pub const UDP: u16 = 17;
const UDP_HEADER: u32 = 8;

/// The place of a packet's payload.
pub struct Packet {
    /// Bytes of all protocol headers.
    pub headers: u32,
    /// Payload bytes in the packet's linear part.
    pub linear: u32,
    /// Payload bytes.
    pub payload: u32,
    /// Sequence number of the first payload byte; none of a datagram.
    pub sequence: u32,
}

impl Packet {
    #[inline(always)]
    pub fn parse(skb: u64, protocol: u16) -> Option<Self> {
        let length: u32 = read(skb, layout!(skb_len))?;
        let in_pages: u32 = read(skb, layout!(skb_data_len))?;
        let head: u64 = read(skb, layout!(skb_head))?;
        let data: u64 = read(skb, layout!(skb_data))?;
        let transport: u16 = read(skb, layout!(skb_transport_header))?;
        let header = head + u64::from(transport);
        let (header_length, sequence) = if protocol == UDP {
            (UDP_HEADER, 0)
        } else {
            // `seq`, `ack_seq` and the byte that begins with the data offset.
            let [a, b, c, d, _, _, _, _, data_offset]: [u8; 9] = read(header, 4)?;
            (u32::from(data_offset >> 4) * 4, u32::from_be_bytes([a, b, c, d]))
        };
        let headers = (header - data) as u32 + header_length;
        Some(Self {
            headers,
            linear: (length - in_pages).saturating_sub(headers),
            payload: length.saturating_sub(headers),
            sequence,
        })
    }
}
