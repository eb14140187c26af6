//! The receiver of a sender.

use std::{fmt, net::SocketAddr, str::FromStr};

/// The receiver of a sender, on a route to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A consumer at this address.
    Consumer(SocketAddr),
    /// None: a device that drops its packets, made for the transfer.
    Dummy,
}

const DUMMY: &str = "dummy";

/// The name of the device of [`Receiver::Dummy`] in its network namespace.
pub const DUMMY_DEVICE: &str = "dummy0";

impl FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == DUMMY {
            return Ok(Self::Dummy);
        }
        text.parse().map(Self::Consumer).map_err(|_| {
            format!("give {DUMMY}, or address and port of a consumer, such as 192.0.2.7:9000")
        })
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer(addr) => addr.fmt(f),
            Self::Dummy => f.write_str(DUMMY),
        }
    }
}

impl From<SocketAddr> for Receiver {
    fn from(addr: SocketAddr) -> Self {
        Self::Consumer(addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in ["dummy", "192.0.2.7:9000", "[2001:db8::7]:9000"] {
            assert_eq!(text.parse::<Receiver>().unwrap().to_string(), text);
        }
        assert!("nowhere".parse::<Receiver>().is_err());
    }
}
