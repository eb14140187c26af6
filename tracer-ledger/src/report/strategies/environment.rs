//! The environment of a report's numbers, and its differences from the textbook's.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Tier, claims::Condition, workload::Cache};

/// The name of the loopback device.
const LOOPBACK: &str = "lo";

/// The machine whose kernel measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// The kernel the tool was started on.
    Host,
    /// The kernel of a virtual machine that was started for it.
    Vm,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Host => "on this machine",
            Self::Vm => "in a virtual machine",
        })
    }
}

/// Where and how the numbers of a report were measured.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Environment {
    /// The kernel's release, such as `6.12.41+deb13-amd64`.
    pub kernel: String,
    /// The machine whose kernel that is.
    #[serde(rename = "where")]
    pub where_: Where,
    /// The tier.
    #[schemars(with = "String", extend("enum" = ["fentry", "kprobe", "tracepoint"]))]
    pub tier: Tier,
    /// The network device towards the consumer: its name, and the driver in parentheses if it is
    /// one of hardware, such as `eth0 (e1000e)`; `lo` for the same machine.
    pub nic: String,
    /// Whether the device gathers a packet from scattered pages.
    pub scatter_gather: bool,
    /// Whether the file was in the page cache before the first message.
    #[schemars(with = "String", extend("enum" = ["cold", "warm"]))]
    pub cache: Cache,
    /// File system and block device of the file, such as `ext4 on vda`.
    pub disk: String,
    /// Whether every instruction was emulated: then times mean nothing, and counts are exact.
    pub emulated: bool,
    /// Load of the machine in the minute before, as `uptime` has it; absent where no times were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
}

impl Environment {
    /// The conditions of this environment that the textbook does not assume.
    pub fn conditions(&self) -> Vec<Condition> {
        let network = match &*self.nic {
            LOOPBACK => Some(Condition::Loopback),
            nic if !nic.contains('(') => Some(Condition::VirtualNic),
            _ => None,
        };
        let cache = (self.cache == Cache::Warm).then_some(Condition::WarmCache);
        let gather = (!self.scatter_gather).then_some(Condition::NoScatterGather);
        [cache, network, gather].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_documented() -> Environment {
        Environment {
            kernel: "6.12.41".into(),
            where_: Where::Vm,
            tier: Tier::Fentry,
            nic: "eth0 (e1000e)".into(),
            scatter_gather: true,
            cache: Cache::Cold,
            disk: "ext4 on vda".into(),
            emulated: true,
            load: None,
        }
    }

    #[test]
    fn conditions_are_what_the_documents_do_not_have_in_mind() {
        assert!(as_documented().conditions().is_empty());
        let loopback = Environment { nic: "lo".into(), cache: Cache::Warm, ..as_documented() };
        assert_eq!(loopback.conditions(), [Condition::WarmCache, Condition::Loopback]);
        let veth = Environment { nic: "veth0".into(), scatter_gather: false, ..as_documented() };
        assert_eq!(veth.conditions(), [Condition::VirtualNic, Condition::NoScatterGather]);
    }
}
