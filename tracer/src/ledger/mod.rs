//! The ledger: bytes move from one place to another, and something moves them.
//!
//! Everything here is pure arithmetic on measured numbers; it knows nothing of eBPF or of I/O.
//! Every report is a view of an [`Observation`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where bytes can be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A block device.
    Disk,
    /// The page cache, also where a program has it mapped.
    PageCache,
    /// Memory of a program that is not a mapping of a file.
    User,
    /// A socket's send or receive buffer: the pages its `sk_buff`s point to.
    Socket,
    /// A pipe's buffers.
    Pipe,
    /// Memory of the kernel that is none of the others, such as a linearised packet.
    Kernel,
    /// A network device.
    Nic,
}

/// What moved the bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mover {
    /// A device, by direct memory access.
    Dma,
    /// The CPU, by a copy.
    Cpu,
    /// Nothing: a page changed hands and no byte was copied.
    Reference,
}

impl Mover {
    /// Whether a movement by this mover is a copy.
    pub fn copies(self) -> bool {
        matches!(self, Self::Dma | Self::Cpu)
    }
}

/// Who paid for a movement.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The sending process, or the kernel on behalf of its socket.
    Sender,
    /// The receiving process.
    Receiver,
}

/// How a number was come by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// A probe saw the bytes move.
    Measured,
    /// Arithmetic on measured numbers, such as the return value of a system call.
    Derived,
}

/// Bytes that went from one place to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Movement {
    /// Where the bytes were.
    pub from: Place,
    /// Where they are now, or also are.
    pub to: Place,
    /// What moved them.
    pub by: Mover,
    /// Who paid.
    pub side: Side,
    /// How the number was come by.
    pub provenance: Provenance,
    /// What in the kernel saw it, such as `tcp_sendmsg_locked+0x375 → _copy_from_iter`.
    pub witness: String,
    /// Bytes moved.
    pub bytes: u64,
    /// How many times the witness fired.
    pub calls: u64,
    /// Bytes the hardware breakpoints saw for the same movement, under `--verify`.
    pub verified_bytes: Option<u64>,
}

/// All that was seen of one strategy inside its window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The strategy's name, such as `read-write`.
    pub strategy: String,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// How many messages were sent.
    pub messages: u64,
    /// Payload bytes the consumer received and checked.
    pub payload_bytes: u64,
    /// System calls the sender made in the window, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Page faults taken in user mode: each is two mode switches.
    pub page_faults_user: u64,
    /// Page faults taken in kernel mode, such as inside `write()`: no further mode switch.
    pub page_faults_kernel: u64,
    /// Times the scheduler took the CPU from the sender because it had to wait.
    pub context_switches_voluntary: u64,
    /// Times the scheduler took the CPU from the sender though it could have run on.
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
}

/// Copies per payload byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Copies {
    /// Copies by the CPU.
    pub cpu: f64,
    /// Copies by a device.
    pub dma: f64,
    /// Both.
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

    /// The sender's copies per payload byte, with what the kernel did later for its socket.
    pub fn copies(&self) -> Copies {
        let cpu = self.bytes_by(Mover::Cpu);
        let dma = self.bytes_by(Mover::Dma);
        Copies {
            cpu: ratio(cpu, self.payload_bytes),
            dma: ratio(dma, self.payload_bytes),
            total: ratio(cpu + dma, self.payload_bytes),
        }
    }

    /// The sender's bytes moved by one kind of mover.
    pub fn bytes_by(&self, by: Mover) -> u64 {
        self.movements
            .iter()
            .filter(|movement| movement.side == Side::Sender && movement.by == by)
            .map(|movement| movement.bytes)
            .sum()
    }
}

/// `part` of `whole`; nothing of nothing is nothing.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
