//! The traffic of one flow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Kind,
    apportion::apportion,
    balance::{At, Unseen},
};
use crate::{Movement, Mover, Place, merge};

/// System calls of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Calls {
    /// The number of calls.
    pub count: u64,
    /// Bytes they returned.
    pub bytes: u64,
}

impl Calls {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }

    fn split(self, weights: &[u64]) -> impl Iterator<Item = Self> {
        let counts = apportion(self.count, weights);
        let bytes = apportion(self.bytes, weights);
        counts.into_iter().zip(bytes).map(|(count, bytes)| Self { count, bytes })
    }
}

/// Operations of io_uring of one name, whose copies are unseen where call sites take no probes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Operations {
    /// The name in `linux/io_uring.h`, without `IORING_OP_`.
    pub name: String,
    /// On a traced socket.
    pub on_socket: bool,
    /// The number of operations that ended, and their positive results.
    pub calls: Calls,
}

/// All counts of one flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes that reached the destination, as system calls returned them.
    pub payload_bytes: u64,
    /// System calls by name.
    pub calls: BTreeMap<String, Calls>,
    /// Operations of io_uring, where they are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operations>,
    /// Payload bytes written from a buffer that the source was read into before.
    pub linked_bytes: u64,
    /// Payload bytes written from a mapping of the source.
    pub mapped_bytes: u64,
    /// Payload bytes sent with `MSG_ZEROCOPY`.
    pub zero_copy_bytes: u64,
    /// Payload bytes written as TLS records.
    pub tls_bytes: u64,
    /// Payload bytes written past the page cache (`O_DIRECT`).
    #[serde(default)]
    pub direct_bytes: u64,
    /// Payload bytes written into a socket with a kernel protocol above TCP, such as TLS.
    #[serde(default)]
    pub upper_bytes: u64,
    /// Payload given to network devices in the linear part of packets, in bytes.
    #[serde(default)]
    pub linear_bytes: u64,
    /// The number of these packets.
    #[serde(default)]
    pub linear_packets: u64,
    /// Page faults taken in user mode.
    pub page_faults_user: u64,
    /// Page faults taken in kernel mode.
    pub page_faults_kernel: u64,
    /// Context switches because the thread had to wait.
    pub switches_voluntary: u64,
    /// Context switches though the thread could have run on.
    pub switches_involuntary: u64,
    /// Protocol headers given to network devices, in bytes.
    pub nic_header_bytes: u64,
    /// Payload given to network devices again, in bytes.
    pub nic_retransmitted_bytes: u64,
    /// File system metadata read from disk, in bytes.
    pub disk_metadata_bytes: u64,
    /// Time that data calls took on CPUs, in ns.
    #[serde(default)]
    pub cpu_time_ns: u64,
    /// Cycles of the processor that they took; 0 where cycles are not counted.
    #[serde(default)]
    pub cpu_cycles: u64,
    /// Bytes that moved, merged.
    pub movements: Vec<Movement>,
    /// Payload that no witness saw move; see [`super::balance`].
    #[serde(skip)]
    pub unseen: Vec<Unseen>,
}

impl Traffic {
    /// The scalar numbers.
    fn numbers(&mut self) -> [&mut u64; 18] {
        [
            &mut self.payload_bytes,
            &mut self.linked_bytes,
            &mut self.mapped_bytes,
            &mut self.zero_copy_bytes,
            &mut self.tls_bytes,
            &mut self.direct_bytes,
            &mut self.upper_bytes,
            &mut self.linear_bytes,
            &mut self.linear_packets,
            &mut self.page_faults_user,
            &mut self.page_faults_kernel,
            &mut self.switches_voluntary,
            &mut self.switches_involuntary,
            &mut self.nic_header_bytes,
            &mut self.nic_retransmitted_bytes,
            &mut self.disk_metadata_bytes,
            &mut self.cpu_time_ns,
            &mut self.cpu_cycles,
        ]
    }

    /// The sum of all its numbers, an upper bound of any partial sum.
    pub fn bulk(&self) -> u128 {
        let mut alone = Self {
            calls: BTreeMap::new(),
            operations: Vec::new(),
            movements: Vec::new(),
            unseen: Vec::new(),
            ..*self
        };
        let numbers = alone.numbers().map(|number| *number);
        let operations = self.operations.iter().map(|operation| &operation.calls);
        let calls = self.calls.values().chain(operations);
        let calls = calls.flat_map(|calls| [calls.count, calls.bytes]);
        let movements = self.movements.iter().flat_map(|movement| {
            [movement.bytes, movement.calls, movement.verified_bytes.unwrap_or_default()]
        });
        numbers.into_iter().chain(calls).chain(movements).map(u128::from).sum()
    }

    /// Adds other traffic.
    pub fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for (mine, theirs) in self.numbers().into_iter().zip(other.numbers()) {
            *mine += *theirs;
        }
        for (name, calls) in other.calls {
            self.calls.entry(name).or_default().add(calls);
        }
        for theirs in other.operations {
            let same = |mine: &&mut Operations| {
                (&mine.name, mine.on_socket) == (&theirs.name, theirs.on_socket)
            };
            match self.operations.iter_mut().find(same) {
                Some(mine) => mine.calls.add(theirs.calls),
                None => self.operations.push(theirs),
            }
        }
        self.operations.sort_unstable();
        if !other.movements.is_empty() {
            self.movements.append(&mut other.movements);
            self.movements = merge(&self.movements);
        }
        self.unseen.append(&mut other.unseen);
        self.merge_unseen();
    }

    /// One entry for each end and each reason.
    fn merge_unseen(&mut self) {
        if self.unseen.len() < 2 {
            return;
        }
        let mut sums = BTreeMap::new();
        for Unseen { at, medium, direct, bytes } in std::mem::take(&mut self.unseen) {
            *sums.entry((at, medium, direct)).or_insert(0) += bytes;
        }
        let unseen = sums.into_iter();
        self.unseen = unseen
            .map(|((at, medium, direct), bytes)| Unseen { at, medium, direct, bytes })
            .collect();
    }

    /// Payload that was not seen to move at one end or at the other.
    pub fn unseen_bytes(&self) -> u64 {
        self.unseen_at(At::Source).max(self.unseen_at(At::Destination))
    }

    /// Payload that was not seen to move at one end.
    pub fn unseen_at(&self, at: At) -> u64 {
        self.unseen.iter().filter(|unseen| unseen.at == at).map(|unseen| unseen.bytes).sum()
    }

    /// Divides it into parts in proportion to the weights, which add up to the whole.
    pub fn split(&self, weights: &[u64]) -> Vec<Self> {
        let mut parts = vec![Self::default(); weights.len()];
        let mut whole = self.clone();
        for (index, number) in whole.numbers().into_iter().enumerate() {
            for (part, share) in parts.iter_mut().zip(apportion(*number, weights)) {
                *part.numbers()[index] = share;
            }
        }
        for (name, calls) in &self.calls {
            for (part, calls) in parts.iter_mut().zip(calls.split(weights)) {
                part.calls.insert(name.clone(), calls);
            }
        }
        for operations in &self.operations {
            for (part, calls) in parts.iter_mut().zip(operations.calls.split(weights)) {
                part.operations.push(Operations { calls, ..operations.clone() });
            }
        }
        for movement in &self.movements {
            for (part, share) in parts.iter_mut().zip(split_movement(movement, weights)) {
                part.movements.push(share);
            }
        }
        for unseen in &self.unseen {
            for (part, bytes) in parts.iter_mut().zip(apportion(unseen.bytes, weights)) {
                part.unseen.push(Unseen { bytes, ..*unseen });
            }
        }
        for part in &mut parts {
            part.unseen.retain(|unseen| unseen.bytes > 0);
            part.calls.retain(|_, calls| *calls != Calls::default());
            part.operations.retain(|operations| operations.calls != Calls::default());
            part.movements.retain(|movement| movement.bytes > 0 || movement.calls > 0);
        }
        parts
    }

    /// System calls of all names.
    pub fn syscalls(&self) -> u64 {
        self.calls.values().map(|calls| calls.count).sum()
    }

    /// Into the kernel and back, for each system call and each page fault taken in user mode.
    pub fn mode_switches(&self) -> u64 {
        2 * (self.syscalls() + self.page_faults_user)
    }

    /// Bytes moved by reference to a destination of this kind. Bytes in the pipe inside `sendfile` have
    /// not arrived.
    pub fn passed_on(&self, destination: Kind) -> u64 {
        let references = self.movements.iter().filter(|movement| movement.by == Mover::Reference);
        let arriving = references.filter(|it| it.to != Place::Pipe || destination == Kind::Pipe);
        arriving.map(|movement| movement.bytes).sum()
    }

    /// Bytes moved by one kind of mover.
    pub fn bytes_by(&self, by: Mover) -> u64 {
        self.movements.iter().filter(|movement| movement.by == by).map(|it| it.bytes).sum()
    }
}

fn split_movement(movement: &Movement, weights: &[u64]) -> Vec<Movement> {
    let bytes = apportion(movement.bytes, weights);
    let calls = apportion(movement.calls, weights);
    let verified = movement.verified_bytes.map(|verified| apportion(verified, weights));
    (0..weights.len())
        .map(|index| Movement {
            bytes: bytes[index],
            calls: calls[index],
            verified_bytes: verified.as_ref().map(|verified| verified[index]),
            ..movement.clone()
        })
        .collect()
}
