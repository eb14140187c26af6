//! The link to a consumer on this machine.

use std::path::Path;

use anyhow::ensure;
use workloads::driver::Network;

/// The network namespace a NIC of this machine leads to, as `ip netns add copytrace` makes it.
pub const NAMESPACE: &str = "/run/netns/copytrace";

/// The link to a consumer on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Link {
    /// In the network namespace `copytrace`, through a network card
    Nic,
    /// Over loopback, without a card's DMA
    Loopback,
}

impl Link {
    /// The requested link, which must exist; by default a network card, if one leads to a consumer.
    pub fn find(wanted: Option<Self>) -> anyhow::Result<Self> {
        let exists = Path::new(NAMESPACE).exists();
        match wanted {
            Some(Self::Nic) => {
                ensure!(
                    exists,
                    "there is no network namespace {NAMESPACE} with a consumer's network card; use \
                     `--to loopback`, or `cargo xtask run --on vm`, whose guest has one"
                );
                Ok(Self::Nic)
            }
            Some(Self::Loopback) => Ok(Self::Loopback),
            None if exists => Ok(Self::Nic),
            None => {
                log::warn!("no network card leads to a consumer: sending over loopback");
                Ok(Self::Loopback)
            }
        }
    }

    /// The network of a consumer.
    pub fn network(self) -> Network {
        match self {
            Self::Nic => Network::Namespace(NAMESPACE.into()),
            Self::Loopback => Network::Loopback,
        }
    }
}
