//! The ledger of any program: its traffic by flows, from which object to which.
//!
//! Everything here is pure arithmetic on measured numbers: it knows nothing of eBPF or of I/O, and
//! no step makes or loses a byte. The steps, in their order: what no witness sees is derived
//! ([`derive`]), what was delivered is held against what moved ([`balance`]), what was read and written on is one flow ([`link`]), what the kernel did later
//! for a socket belongs to who wrote into it ([`spread`]), rows are made ([`group`]), and each
//! gets its [`verdict`].

mod apportion;
pub mod balance;
pub mod derive;
pub mod digest;
mod endpoint;
pub mod group;
pub mod jvm;
pub mod link;
pub mod medium;
pub mod note;
#[cfg(test)]
mod properties;
pub mod spread;
pub mod stacks;
mod traffic;
pub mod trial;
pub mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use endpoint::{Detail, Endpoint, Kind, Process, UNKNOWN};
pub use traffic::{Calls, Operations, Traffic};

/// A flow: a process, a source and a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flow {
    /// The process that made the calls.
    pub process: Process,
    /// The source; none if the kernel sent the bytes later, when their writer was no longer known.
    pub source: Option<Endpoint>,
    /// The destination.
    pub destination: Endpoint,
}

impl Flow {
    /// Whether it moves data: other calls of a process are counted under a flow from its memory to its
    /// memory.
    pub fn is_data(&self) -> bool {
        self.destination.kind != Kind::Memory
            || self.source.as_ref().is_some_and(|source| source.kind != Kind::Memory)
    }
}

/// Traffic by flow.
pub type Ledger = BTreeMap<Flow, Traffic>;

/// Adds traffic to a ledger.
pub fn add(ledger: &mut Ledger, flow: Flow, traffic: &Traffic) {
    ledger.entry(flow).or_default().add(traffic);
}

/// All steps without a decision: derive what `witnesses` do not see, link, spread.
pub fn settle(ledger: Ledger, witnesses: derive::Witnesses) -> Ledger {
    let mut ledger = ledger;
    derive::derive(&mut ledger, witnesses);
    balance::balance(&mut ledger);
    spread::spread(link::link(ledger))
}

/// The sum of a ledger.
pub fn total(ledger: &Ledger) -> Traffic {
    ledger.values().fold(Traffic::default(), |mut total, traffic| {
        total.add(traffic);
        total
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Movement, Mover, Place, Provenance, Side};

    pub fn file(name: &str) -> Endpoint {
        Endpoint::new(Kind::File, name)
    }

    pub fn tcp(port: u16) -> Endpoint {
        let name = format!("127.0.0.1:80 → 127.0.0.1:{port}");
        Endpoint { group: "port 80".into(), ..Endpoint::new(Kind::Tcp, name) }
    }

    pub fn flow(source: Endpoint, destination: Endpoint) -> Flow {
        let process = Process { name: "server".into(), pid: Some(7), thread: None };
        Flow { process, source: Some(source), destination }
    }

    pub fn late(destination: Endpoint) -> Flow {
        Flow { source: None, ..flow(Endpoint::memory(), destination) }
    }

    pub fn cpu_copy(from: Place, to: Place, bytes: u64) -> Movement {
        Movement {
            from,
            to,
            by: Mover::Cpu,
            side: Side::Sender,
            provenance: Provenance::Measured,
            witness: "a call site".into(),
            bytes,
            calls: 1,
            verified_bytes: None,
        }
    }

    pub fn total_cpu(traffic: &Traffic) -> u64 {
        traffic.bytes_by(Mover::Cpu)
    }
}
