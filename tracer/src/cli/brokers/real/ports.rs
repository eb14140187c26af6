//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// The number of ports to try.
const TRIES: usize = 100;

/// A port for each of `wanted`, which says how far below it others are taken as well, 0 being the port
/// itself. No two are the same.
pub fn free<const N: usize>(wanted: [&[u16]; N]) -> anyhow::Result<[u16; N]> {
    let mut taken = Vec::new();
    let mut ports = [0; N];
    for (port, below) in ports.iter_mut().zip(wanted) {
        let found = (0..TRIES).find_map(|_| all(below));
        let (number, listeners) = found.context("there is no free port on 127.0.0.1")?;
        *port = number;
        taken.push(listeners);
    }
    Ok(ports)
}

fn all(below: &[u16]) -> Option<(u16, Vec<TcpListener>)> {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let port = any.local_addr().ok()?.port();
    let others = below.iter().filter(|below| **below > 0);
    let others = others.map(|below| TcpListener::bind((Ipv4Addr::LOCALHOST, port - below)).ok());
    Some((port, others.chain([Some(any)]).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different() {
        let [one, other] = free([&[0], &[0, 2]]).unwrap();
        assert!(![one, 0].contains(&other) && one != other - 2, "{one} and {other}");
    }
}
