//! TCP packets as `struct sk_buff` describes them.

use crate::kernel::{layout, read};

/// Where a packet's payload is.
pub struct Packet {
    /// Bytes of all protocol headers.
    pub headers: u32,
    /// Payload bytes in the packet's linear part.
    pub linear: u32,
    /// Payload bytes.
    pub payload: u32,
    /// Sequence number of the first payload byte.
    pub sequence: u32,
}

impl Packet {
    #[inline(always)]
    pub fn parse(skb: u64) -> Option<Self> {
        let length: u32 = read(skb, layout!(skb_len))?;
        let in_pages: u32 = read(skb, layout!(skb_data_len))?;
        let head: u64 = read(skb, layout!(skb_head))?;
        let data: u64 = read(skb, layout!(skb_data))?;
        let transport: u16 = read(skb, layout!(skb_transport_header))?;
        let tcp = head + u64::from(transport);
        let sequence: u32 = u32::from_be(read(tcp, 4)?);
        let data_offset: u8 = read(tcp, 12)?;
        let headers = (tcp - data) as u32 + u32::from(data_offset >> 4) * 4;
        Some(Self {
            headers,
            linear: (length - in_pages).saturating_sub(headers),
            payload: length.saturating_sub(headers),
            sequence,
        })
    }
}
