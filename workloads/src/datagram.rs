//! The division of a message into datagrams.

use std::os::fd::BorrowedFd;

use rustix::net::{
    AddressFamily,
    sockopt::{ip_mtu, ipv6_mtu, socket_domain},
};

use crate::{Error, Result, Shape};

/// Bytes of UDP's header, and of an IP header without options.
const UDP_HEADER: usize = 8;
const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// Bytes of headers before the payload of a datagram by IPv4.
pub const HEADERS: usize = IP_HEADER + UDP_HEADER;
/// The longest packet: its length has 16 bits. IPv6 does not count its own header, but a few bytes more
/// would gain nothing.
const LONGEST_PACKET: usize = u16::MAX as usize;

/// Bytes of the datagrams of a message, but for the last one, which may be shorter: as few datagrams of
/// equal length as possible, each in one packet of the device that this connected socket sends by. A
/// longer one would be fragmented, and copied for that.
pub fn length(socket: BorrowedFd<'_>, shape: Shape) -> Result<usize> {
    let family = socket_domain(socket);
    let (mtu, headers) = match family.map_err(Error::os("ask for the socket's family"))? {
        AddressFamily::INET6 => (ipv6_mtu(socket), IPV6_HEADER + UDP_HEADER),
        _ => (ip_mtu(socket), HEADERS),
    };
    let mtu = mtu.map_err(Error::os("ask for the device's longest packet (MTU)"))?;
    Ok(even(shape.message_len(), (mtu as usize).min(LONGEST_PACKET) - headers))
}

/// The length of as few equal parts as possible, none longer than `most`.
fn even(bytes: usize, most: usize) -> usize {
    bytes.div_ceil(bytes.div_ceil(most))
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsFd};

    use super::*;

    #[test]
    fn parts_are_few_and_of_the_same_length() {
        // Messages of 64 KiB over loopback, a device with an MTU of 9000, and Ethernet.
        assert_eq!([65_507, 8972, 1472].map(|most| even(65_536, most)), [32_768, 8192, 1457]);
        assert_eq!(even(7, 1472), 7);
        assert_eq!(even(1473, 1472), 737);
    }

    #[test]
    fn a_datagram_over_loopback_is_one_packet() {
        for address in ["127.0.0.1:9", "[::1]:9"] {
            let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).unwrap();
            if let Err(error) = socket.connect(address) {
                eprintln!("skipped: {address}: {error}");
                continue;
            }
            let largest = length(socket.as_fd(), Shape::new(1, 1 << 20).unwrap()).unwrap();
            assert_eq!((1_usize << 20).div_ceil(largest), 17, "{address}: {largest}");
        }
    }
}
