//! Network namespaces.

use std::{fs::File, io, net::Ipv4Addr, os::fd::AsFd, path::Path, ptr};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, Result};

/// Moves the calling thread into a network namespace.
pub fn enter(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            Error::NoNamespace { path: path.to_owned(), name: name.into_owned() }
        }
        _ => Error::os(format!("open {}", path.display()))(cause),
    })?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
        Error::os_advice(
            format!("enter the network namespace {}", path.display()),
            "run it as root, and give --netns a network namespace",
        ),
    )
}

/// The first IPv4 address of this network namespace that is not loopback.
pub fn outside_address() -> Result<Option<Ipv4Addr>> {
    let mut list = ptr::null_mut();
    // SAFETY: on success `list` is a linked list that `freeifaddrs` ends, and it is not used
    // after; an address of family `AF_INET` is a `sockaddr_in`.
    unsafe {
        if libc::getifaddrs(&mut list) != 0 {
            let cause = io::Error::last_os_error();
            return Err(Error::os("list the network addresses")(cause));
        }
        let mut found = None;
        let mut entry = list;
        while let (Some(interface), None) = (entry.as_ref(), found) {
            found = interface
                .ifa_addr
                .as_ref()
                .filter(|addr| i32::from(addr.sa_family) == libc::AF_INET)
                .map(|addr| {
                    let addr = ptr::from_ref(addr).cast::<libc::sockaddr_in>().read_unaligned();
                    Ipv4Addr::from(u32::from_be(addr.sin_addr.s_addr))
                })
                .filter(|addr| !addr.is_loopback());
            entry = interface.ifa_next;
        }
        libc::freeifaddrs(list);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_namespace_says_how_to_make_one() {
        let error = enter(Path::new("/run/netns/nowhere")).unwrap_err().to_string();
        assert!(error.contains("ip netns add nowhere"), "{error}");
    }
}
