//! The network device that a transfer goes out on, and its scatter-gather.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use nix::ifaddrs::getifaddrs;

/// The hidden verb of the process that turns scatter-gather on again.
pub const GUARD_VERB: &str = "__scatter-gather-guard";

/// `linux/ethtool.h`, `linux/sockios.h`
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GSG: u32 = 0x18;
const ETHTOOL_SSG: u32 = 0x19;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Such as `eth0`.
    pub name: String,
    /// Such as `e1000e`; none for a virtual device.
    pub driver: Option<String>,
    /// This machine's address on it.
    pub address: IpAddr,
}

impl Nic {
    /// The device by which this machine reaches an address. Nothing is sent.
    pub fn towards(peer: SocketAddr) -> anyhow::Result<Self> {
        let local =
            source_address(peer).with_context(|| format!("no route to the consumer at {peer}"))?;
        let name = getifaddrs()
            .context("cannot list the network interfaces")?
            .find(|interface| {
                let address = interface.address.as_ref();
                address.is_some_and(|address| ip_of(address) == Some(local))
            })
            .map(|interface| interface.interface_name)
            .with_context(|| format!("no network interface has the address {local}"))?;
        Ok(Self { driver: driver(&name), name, address: local })
    }

    /// `eth0 (e1000e)`
    pub fn label(&self) -> String {
        match &self.driver {
            Some(driver) => format!("{} ({driver})", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether the device can send packets whose payload is in separate pages.
    pub fn scatter_gather(&self) -> io::Result<bool> {
        ethtool(&self.name, ETHTOOL_GSG, 0).map(|value| value != 0)
    }

    /// Turns scatter-gather off until the guard is dropped, or this process is gone.
    pub fn without_scatter_gather(&self) -> anyhow::Result<Option<Guard>> {
        let refused = || {
            format!("cannot turn scatter-gather off on {}; it needs CAP_NET_ADMIN", self.label())
        };
        if !self.scatter_gather().with_context(refused)? {
            return Ok(None);
        }
        let guard = Guard::start(&self.name)?;
        ethtool(&self.name, ETHTOOL_SSG, 0).with_context(refused)?;
        if self.scatter_gather().with_context(refused)? {
            bail!("{}: the driver of this device cannot turn it off", refused());
        }
        Ok(Some(guard))
    }
}

fn source_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

fn ip_of(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn driver(name: &str) -> Option<String> {
    let link = fs::read_link(format!("/sys/class/net/{name}/device/driver")).ok()?;
    Some(Path::new(&link).file_name()?.to_string_lossy().into_owned())
}

/// `struct ethtool_value`
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Gets or sets one value of a device, as `ethtool(8)` does.
fn ethtool(name: &str, command: u32, data: u32) -> io::Result<u32> {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    let mut value = EthtoolValue { command, data };
    // SAFETY: all zeros is valid for an ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value it points to outlive the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value.data)
}

/// A process of its own that turns scatter-gather on again when its standard input ends: when
/// this value is dropped, or when this process was killed.
pub struct Guard {
    child: Child,
}

impl Guard {
    fn start(nic: &str) -> anyhow::Result<Self> {
        let child = Command::new("/proc/self/exe")
            .args([GUARD_VERB, nic])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the process that turns scatter-gather on again")?;
        Ok(Self { child })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            log::warn!("cannot wait for scatter-gather to be turned on again: {error}");
        }
    }
}

/// Arguments of the guard's process.
#[derive(Debug, clap::Args)]
pub struct GuardArgs {
    /// The network device
    nic: String,
}

/// Waits for the end of standard input, and turns scatter-gather on again.
pub fn guard(args: &GuardArgs) -> anyhow::Result<()> {
    // A terminal's Ctrl-C and hang-up go to its whole foreground group; this one must outlive them.
    rustix::process::setsid().context("cannot leave the terminal")?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    ethtool(&args.nic, ETHTOOL_SSG, 1).with_context(|| {
        format!("cannot turn scatter-gather on again: run `ethtool -K {} sg on`", args.nic)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_virtual_and_takes_scattered_packets() {
        let nic = Nic::towards(([127, 0, 0, 1], 9).into()).unwrap();
        let address = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(nic, Nic { name: "lo".to_owned(), driver: None, address });
        assert_eq!(nic.label(), "lo");
        assert!(nic.scatter_gather().unwrap());
    }
}
