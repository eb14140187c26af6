//! The part of rtnetlink that makes a network device.

use std::{io, net::Ipv4Addr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `linux/netlink.h`, `linux/rtnetlink.h`
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
/// `linux/if_link.h`
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// `linux/if_addr.h`
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// `struct nlmsghdr`, of which the length is the first field.
const HEADER: usize = 16;

/// Makes a device of a kind, such as `dummy`, in this thread's network namespace, and sets it up.
pub fn make_device(kind: &str, name: &str, mtu: u32) -> io::Result<()> {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    // `struct ifinfomsg`: family, type, index, flags, and which flags to change.
    let info = [[0; 4], [0; 4], up, up].concat();
    ask(Message::new(RTM_NEWLINK, &info)
        .with(IFLA_IFNAME, name.as_bytes())
        .with(IFLA_MTU, &mtu.to_ne_bytes())
        .with(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, kind.as_bytes())))
}

/// Gives an address to a device of this thread's network namespace.
pub fn add_address(device: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(device)?;
    // `struct ifaddrmsg`: family, length of the prefix, flags, scope, index.
    let family = [AddressFamily::INET.as_raw() as u8, prefix, 0, 0];
    let info = [family, index.to_ne_bytes()].concat();
    ask(Message::new(RTM_NEWADDR, &info)
        .with(IFA_LOCAL, &address.octets())
        .with(IFA_ADDRESS, &address.octets()))
}

/// A message under construction.
struct Message(Vec<u8>);

impl Message {
    /// A request to create an object, beginning with the structure `fixed`.
    fn new(kind: u16, fixed: &[u8]) -> Self {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let [kind, flags] = [kind, flags].map(u16::to_ne_bytes);
        // The length is filled in later; sequence number and sender are not needed.
        Self([&[0; 4], kind.as_slice(), &flags, &[0; 8], fixed].concat())
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(attribute(kind, value));
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// `struct rtattr` and its value, padded to a multiple of four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut attribute = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// Sends a message to the kernel and checks its answer.
fn ask(message: Message) -> io::Result<()> {
    let (raw, cloexec) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // No protocol is number 0: `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, raw, cloexec, None)?;
    send(&socket, &message.finish(), SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::empty())?;
    match verdict(&answer[..length]) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel answered nonsense")),
    }
}

/// The error in a `struct nlmsgerr`: 0, or a negative number.
fn verdict(answer: &[u8]) -> Option<i32> {
    let kind = answer.get(4..6)?.try_into().ok().map(u16::from_ne_bytes);
    let number = answer.get(HEADER..HEADER + 4)?.try_into().ok().map(i32::from_ne_bytes);
    number.filter(|_| kind == Some(NLMSG_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        assert_eq!(attribute(3, b"abcde"), [9, 0, 3, 0, b'a', b'b', b'c', b'd', b'e', 0, 0, 0]);
        let message = Message::new(RTM_NEWLINK, &[0; 16]).with(3, b"abcd").finish();
        assert_eq!(message.len(), HEADER + 16 + 8);
        assert_eq!(message[..8], [40, 0, 0, 0, 16, 0, 5, 6]);
    }

    #[test]
    fn the_kernel_says_what_it_does_not_know() {
        let error = make_device("no-such-kind", "nothing", 1500).unwrap_err();
        let errno = error.raw_os_error();
        // Without privileges the kernel refuses before it looks.
        assert!(matches!(errno, Some(libc::EOPNOTSUPP | libc::EPERM)), "{error}");
    }

    #[test]
    fn an_answer_that_is_none_is_told_from_one() {
        assert_eq!(verdict(&[0; 3]), None);
        assert_eq!(verdict(&[0; 36]), None);
    }
}
