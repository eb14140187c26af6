//! A movement: how many bytes went from where to where, what moved them, and who says so.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The places of bytes.
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
    /// Memory of the kernel that is none of the others, such as what it enciphered, or a packet that
    /// it made linear.
    Kernel,
    /// A network device.
    Nic,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disk => "disk",
            Self::PageCache => "page cache",
            Self::User => "user buffer",
            Self::Socket => "socket buffer",
            Self::Pipe => "pipe",
            Self::Kernel => "kernel buffer",
            Self::Nic => "NIC",
        })
    }
}

/// The movers of bytes.
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
    /// The CPU, by enciphering: it touches every byte and puts another one elsewhere, but that is
    /// the work asked for and no copy.
    Cipher,
}

impl Mover {
    /// Whether a movement by this mover is a copy.
    pub fn copies(self) -> bool {
        matches!(self, Self::Dma | Self::Cpu)
    }
}

impl fmt::Display for Mover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dma => "DMA",
            Self::Cpu => "CPU",
            Self::Reference => "reference",
            Self::Cipher => "cipher",
        })
    }
}

/// The side that paid for a movement.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The sending process, or the kernel on behalf of its socket.
    #[default]
    Sender,
    /// The receiving process.
    Receiver,
}

/// The provenance of a number.
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
    /// The place the bytes came from.
    pub from: Place,
    /// The place they went to; a copy leaves them in both.
    pub to: Place,
    /// The mover.
    pub by: Mover,
    /// The side that paid.
    pub side: Side,
    /// The provenance of the number.
    pub provenance: Provenance,
    /// The witness in the kernel, such as `tcp_sendmsg_locked+0x375 → _copy_from_iter`.
    pub witness: String,
    /// Bytes moved.
    pub bytes: u64,
    /// The number of times the witness fired.
    pub calls: u64,
    /// Bytes the hardware breakpoints saw for the same movement, under `--verify`.
    pub verified_bytes: Option<u64>,
}

impl Movement {
    /// The relative difference of the probes from the hardware breakpoints: negative when the probes saw
    /// less.
    pub fn disagreement(&self) -> Option<f64> {
        let verified = self.verified_bytes?;
        Some(if self.bytes == verified {
            0.0
        } else {
            (self.bytes as f64 - verified as f64) / verified as f64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(bytes: u64, verified_bytes: Option<u64>) -> Movement {
        Movement {
            from: Place::PageCache,
            to: Place::User,
            by: Mover::Cpu,
            side: Side::Sender,
            provenance: Provenance::Measured,
            witness: "filemap_read+0x1f2 → _copy_to_iter".into(),
            bytes,
            calls: 1,
            verified_bytes,
        }
    }

    #[test]
    fn only_devices_and_the_cpu_copy() {
        assert!(!Mover::Cipher.copies());
        assert!(Mover::Dma.copies());
        assert!(Mover::Cpu.copies());
        assert!(!Mover::Reference.copies());
    }

    #[test]
    fn disagreement_is_relative_to_the_breakpoints() {
        assert_eq!(copy(100, None).disagreement(), None);
        assert_eq!(copy(0, Some(0)).disagreement(), Some(0.0));
        assert_eq!(copy(100, Some(100)).disagreement(), Some(0.0));
        assert_eq!(copy(150, Some(200)).disagreement(), Some(-0.25));
    }

    #[test]
    fn names_in_json_are_those_of_the_documents() {
        let json = serde_json::to_value(copy(7, None)).unwrap();
        assert_eq!(json["from"], "page-cache");
        assert_eq!(json["to"], "user");
        assert_eq!(json["by"], "cpu");
        assert_eq!(json["side"], "sender");
        assert_eq!(json["provenance"], "measured");
    }
}
