//! An observation: all that was seen of one strategy, and what follows from it by arithmetic.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Movement, Mover, Place, Side};
use crate::workload::{CheckedBy, Route};

/// All that was seen of one strategy inside its window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The strategy's name, such as `read-write`.
    pub strategy: String,
    /// From what to what the payload went.
    pub route: Route,
    /// The side that was measured: its calls, switches and copies are the numbers of this.
    pub side: Side,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of messages sent.
    pub messages: u64,
    /// Payload bytes that arrived.
    pub payload_bytes: u64,
    /// The method by which the received bytes were checked.
    pub checked_by: CheckedBy,
    /// System calls made in the window, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Those of one message in the order that the strategy makes them, where they are of several names and
    /// the order is always the same.
    pub call_order: Vec<String>,
    /// Page faults taken in user mode: each is two mode switches.
    pub page_faults_user: u64,
    /// Page faults taken in kernel mode, such as inside `write()`: no further mode switch.
    pub page_faults_kernel: u64,
    /// Times the scheduler took the CPU from the measured process because it had to wait.
    pub context_switches_voluntary: u64,
    /// Times the scheduler took the CPU from it though it could have run on.
    pub context_switches_involuntary: u64,
    /// Every movement of payload bytes, the sender's and the receiver's.
    pub movements: Vec<Movement>,
    /// Protocol header bytes handed to the NIC, not counted as payload.
    pub nic_header_bytes: u64,
    /// Payload bytes handed to the NIC again, not counted as payload.
    pub nic_retransmitted_bytes: u64,
    /// File system metadata read from disk, not counted as payload, in bytes.
    pub disk_metadata_bytes: u64,
    /// Events the kernel or the tool lost. Other than 0, every number is a lower bound.
    pub lost_events: u64,
    /// The kernel's notifications of the program's zero-copy sends, if it made any.
    pub zero_copy: Option<ZeroCopy>,
}

/// The kernel's notifications of zero-copy sends: the program's account, not the probes'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZeroCopy {
    /// Sends of which the kernel said that it is done with their memory.
    pub notifications: u64,
    /// Those of them whose bytes it said it copied after all; absent where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<u64>,
}

impl ZeroCopy {
    /// Those that were copied, as a part of all.
    pub fn copied_part(&self) -> Option<f64> {
        self.copied.map(|copied| ratio(copied, self.notifications))
    }
}

/// Copies per payload byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Copies {
    /// Copies by the CPU.
    pub cpu: f64,
    /// Copies by a device.
    pub dma: f64,
    /// Copies by the CPU and by devices.
    pub total: f64,
}

impl Observation {
    /// System calls of all names.
    pub fn syscalls_total(&self) -> u64 {
        self.syscalls.values().sum()
    }

    /// Mode switches: into the kernel and back, for each system call and each page fault taken in
    /// user mode.
    pub fn mode_switches(&self) -> u64 {
        2 * (self.syscalls_total() + self.page_faults_user)
    }

    /// A total of the window, for one message.
    pub fn per_message(&self, total: u64) -> f64 {
        ratio(total, self.messages)
    }

    /// Bytes, for one payload byte.
    pub fn per_payload_byte(&self, bytes: u64) -> f64 {
        ratio(bytes, self.payload_bytes)
    }

    /// The measured side's copies per payload byte, with what the kernel did later for its socket.
    pub fn copies(&self) -> Copies {
        let cpu = self.bytes_by(Mover::Cpu);
        let dma = self.bytes_by(Mover::Dma);
        Copies {
            cpu: self.per_payload_byte(cpu),
            dma: self.per_payload_byte(dma),
            total: self.per_payload_byte(cpu + dma),
        }
    }

    /// The measured side's bytes moved by one kind of mover.
    pub fn bytes_by(&self, by: Mover) -> u64 {
        self.own().filter(|movement| movement.by == by).map(|movement| movement.bytes).sum()
    }

    /// CPU copies per payload byte on the way into the socket or out of it.
    pub fn copied_at_socket(&self) -> f64 {
        let at_socket = |movement: &&Movement| {
            movement.by == Mover::Cpu
                && (movement.from == Place::Socket || movement.to == Place::Socket)
        };
        self.per_payload_byte(self.sent().filter(at_socket).map(|movement| movement.bytes).sum())
    }

    /// The movements the measured side paid for.
    pub fn own(&self) -> impl Iterator<Item = &Movement> {
        self.paid_by(self.side)
    }

    /// The movements the sender paid for.
    pub fn sent(&self) -> impl Iterator<Item = &Movement> {
        self.paid_by(Side::Sender)
    }

    fn paid_by(&self, side: Side) -> impl Iterator<Item = &Movement> {
        self.movements.iter().filter(move |movement| movement.side == side)
    }
}

/// `part` of `whole`; nothing of nothing is nothing.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_nothing_is_nothing() {
        assert_eq!(ratio(3, 0), 0.0);
        assert_eq!(ratio(3, 4), 0.75);
    }

    #[test]
    fn faults_in_user_mode_switch_modes_and_faults_in_kernel_mode_do_not() {
        let mut observation = Observation {
            messages: 2,
            syscalls: BTreeMap::from([("read".into(), 2), ("write".into(), 2)]),
            page_faults_kernel: 7,
            ..Observation::default()
        };
        assert_eq!(observation.syscalls_total(), 4);
        assert_eq!(observation.per_message(observation.mode_switches()), 4.0);
        observation.page_faults_user = 3;
        assert_eq!(observation.per_message(observation.mode_switches()), 7.0);
    }
}
