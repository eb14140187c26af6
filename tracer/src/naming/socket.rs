//! Sockets, by the addresses of their two ends.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use tracer_common::flow::Object;
use tracer_ledger::flows::{Endpoint, Kind, medium::Medium};

use super::words::numbered;

/// The range of ports that the kernel gives to clients.
#[derive(Debug, Default)]
pub struct ClientPorts(Option<(u16, u16)>);

impl ClientPorts {
    /// The range of this network namespace.
    pub fn read() -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        range.map_or_else(|_| Self::default(), |range| Self::parse(&range))
    }

    /// From two numbers.
    pub(super) fn parse(range: &str) -> Self {
        Self(port_range(range))
    }

    /// The end for a socket.
    pub fn endpoint(&self, object: &Object) -> Endpoint {
        let inode = object.identity.inode;
        let kind = match (i32::from(object.family), i32::from(object.kind)) {
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => Kind::Tcp,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Kind::Udp,
            (libc::AF_UNIX, _) => return numbered(Kind::Unix, "unix", inode),
            _ => return numbered(Kind::Other, "socket", inode),
        };
        let [local, remote] = addresses(object);
        let name = format!("{local} → {remote}");
        let is_client = self.0.is_some_and(|(low, high)| {
            (low..=high).contains(&local.port()) && !(low..=high).contains(&remote.port())
        });
        let group = match is_client {
            true => format!("→ {remote}"),
            false => format!("port {}", local.port()),
        };
        Endpoint { group, ..Endpoint::new(kind, name) }
    }
}

/// The usual protocol of a family is not named.
pub fn protocol(object: &Object) -> Medium {
    let number = object.medium as u16;
    let usual = match (i32::from(object.family), i32::from(object.kind)) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => Some(libc::IPPROTO_TCP),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Some(libc::IPPROTO_UDP),
        (libc::AF_UNIX, _) => return Medium::Usual,
        _ => None,
    };
    match usual {
        Some(usual) if usual as u16 == number => Medium::Usual,
        _ => Medium::Protocol(object.family, number),
    }
}

fn addresses(object: &Object) -> [SocketAddr; 2] {
    let ip = |bytes: [u8; 16]| -> IpAddr {
        if i32::from(object.family) == libc::AF_INET {
            return [bytes[0], bytes[1], bytes[2], bytes[3]].into();
        }
        Ipv6Addr::from(bytes).to_canonical()
    };
    [
        SocketAddr::new(ip(object.local), object.local_port),
        SocketAddr::new(ip(object.remote), object.remote_port),
    ]
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
