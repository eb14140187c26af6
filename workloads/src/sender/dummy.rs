//! A device at the far end that drops its packets: nothing is copied on the way to it, and nothing is
//! received. It is in a network namespace of this process, and ends with it.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::far_end::{Arrived, FarEnd};
use crate::{Error, Result, datagram, netlink, receiver::DUMMY_DEVICE as DEVICE};

/// Jumbo frames: a datagram covers two whole pages.
const MTU: u32 = 9000;
/// An address for documentation (RFC 5737), in use nowhere.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PREFIX: u8 = 24;
/// `discard`, RFC 863.
const PORT: u16 = 9;
/// Bytes that the device counts with each datagram: an Ethernet header, and those of IP and UDP.
const HEADERS: u64 = 14 + datagram::HEADERS as u64;

const COUNTERS: &str = "/proc/thread-self/net/dev";

/// The socket whose datagrams the device drops.
pub struct Dummy {
    socket: UdpSocket,
}

impl Dummy {
    /// Moves this thread into a new network namespace, and makes the device there.
    pub fn make() -> Result<Self> {
        // SAFETY: only a table of descriptors that threads share would be unsafe to leave.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
            .map_err(Error::refused("make a network namespace", "run as root"))?;
        keep_quiet()?;
        netlink::make_device("dummy", DEVICE, MTU).map_err(Error::refused(
            "make a dummy network device",
            "load the kernel's module `dummy`, where there is one",
        ))?;
        let sends = || -> io::Result<UdpSocket> {
            netlink::add_address(DEVICE, OWN, PREFIX)?;
            let socket = UdpSocket::bind((OWN, 0))?;
            socket.connect((NOBODY, PORT))?;
            Ok(socket)
        };
        let tried = format!("send datagrams to the device {DEVICE} in a namespace of its own");
        Ok(Self { socket: sends().map_err(Error::os(tried))? })
    }
}

/// With IPv6 the kernel would send packets of its own through the device.
fn keep_quiet() -> Result<()> {
    let path = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
    match fs::write(path, "1") {
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written.map_err(Error::os(format!("write {path}"))),
    }
}

impl FarEnd for Dummy {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>> {
        let local = self.socket.local_addr().map_err(Error::os("ask for the sender's address"))?;
        Ok(Some((local, SocketAddr::from((NOBODY, PORT)))))
    }

    /// Reads the device's counters. The content cannot be checked any more.
    fn arrived(&self) -> Result<Arrived> {
        let text = fs::read_to_string(COUNTERS).map_err(Error::os(format!("read {COUNTERS}")))?;
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "it has no counters of it");
        let sent = Sent::parse(&text, DEVICE)
            .ok_or_else(unknown)
            .map_err(Error::os(format!("find {DEVICE} in {COUNTERS}")))?;
        Ok(Arrived { bytes: sent.payload(), hash: None })
    }

    fn lost(&self, sent: u64, received: u64) -> Error {
        Error::DatagramsLost { sent, received }
    }
}

/// Packets and bytes that a device was given to send.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    bytes: u64,
    packets: u64,
}

impl Sent {
    /// Reads the line of a device in `/proc/net/dev`: eight numbers for received packets, then for sent
    /// ones.
    fn parse(text: &str, device: &str) -> Option<Self> {
        let of_device = |line: &str| -> Option<String> {
            let (name, numbers) = line.split_once(':')?;
            (name.trim() == device).then(|| numbers.to_owned())
        };
        let numbers = text.lines().find_map(of_device)?;
        let mut numbers = numbers.split_ascii_whitespace().skip(8);
        let mut next = || numbers.next()?.parse().ok();
        Some(Self { bytes: next()?, packets: next()? })
    }

    fn payload(&self) -> u64 {
        self.bytes.saturating_sub(self.packets * HEADERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_those_of_what_was_sent() {
        let text = "Inter-|   Receive    |  Transmit\n face |bytes packets |bytes packets\n    \
                    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n\
                    dummy0: 5 6 0 0 0 0 0 0 8234 1 0 0 0 0 0 0\n";
        let sent = Sent::parse(text, "dummy0").unwrap();
        assert_eq!(sent, Sent { bytes: 8234, packets: 1 });
        assert_eq!(sent.payload(), 8192);
        assert_eq!(Sent::parse(text, "dummy1"), None);
    }
}
