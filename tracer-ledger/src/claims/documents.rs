//! The textbook's claims about the three ways of a message from disk to network.

use super::Quantity;
use crate::{Movement, Mover, Place};

/// One arrow of the textbook's picture: one copy of every payload byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The start of the arrow in the textbook's picture, and then the other places from which a kernel
    /// may move the same bytes: these count as this arrow.
    pub from: &'static [Place],
    /// The end of the arrow.
    pub to: Place,
    /// The mover of the bytes.
    pub by: Mover,
}

impl Arrow {
    /// Whether a movement is this arrow.
    pub fn is(&self, movement: &Movement) -> bool {
        self.from.contains(&movement.from) && self.to == movement.to && self.by == movement.by
    }
}

/// The textbook's description of a strategy, for one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Strategy {
    /// The strategy's name.
    pub name: &'static str,
    /// The system calls, each made once per message. A call with several names in the kernel is a list of
    /// them.
    pub calls: &'static [&'static [&'static str]],
    /// Switches between user and kernel mode.
    pub mode_switches: u32,
    /// The copies.
    pub arrows: &'static [Arrow],
}

/// A sentence of the textbook that can be compared with a measurement.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number.
    pub id: &'static str,
    /// The strategy it is about.
    pub strategy: &'static str,
    /// The number it is about.
    pub quantity: Quantity,
    /// The text of the claim.
    pub text: &'static str,
    /// Another strategy, claimed to need one more of the quantity.
    pub one_fewer_than: Option<&'static str>,
}

const FROM_DISK: Arrow = Arrow { from: &[Place::Disk], to: Place::PageCache, by: Mover::Dma };

/// A packet may be linearised on its way to the driver: then the device reads the linear copy.
const TO_NIC: Arrow =
    Arrow { from: &[Place::Socket, Place::Kernel], to: Place::Nic, by: Mover::Dma };

/// The socket refers to the pages of the page cache, and the device reads those.
const PAGE_CACHE_TO_NIC: Arrow = Arrow {
    from: &[Place::PageCache, Place::Socket, Place::Kernel],
    to: Place::Nic,
    by: Mover::Dma,
};

/// The textbook's description of each strategy.
pub static STRATEGIES: [Strategy; 3] = [
    Strategy {
        name: "read-write",
        calls: &[&["read", "pread64"], &["write"]],
        mode_switches: 4,
        arrows: &[
            FROM_DISK,
            Arrow { from: &[Place::PageCache], to: Place::User, by: Mover::Cpu },
            Arrow { from: &[Place::User], to: Place::Socket, by: Mover::Cpu },
            TO_NIC,
        ],
    },
    Strategy {
        name: "mmap-write",
        calls: &[&["mmap"], &["write"]],
        mode_switches: 4,
        arrows: &[
            FROM_DISK,
            Arrow { from: &[Place::PageCache], to: Place::Socket, by: Mover::Cpu },
            TO_NIC,
        ],
    },
    Strategy {
        name: "sendfile",
        calls: &[&["sendfile", "sendfile64"]],
        mode_switches: 2,
        arrows: &[FROM_DISK, PAGE_CACHE_TO_NIC],
    },
];

/// The claims, in the textbook's order.
pub static CLAIMS: [Claim; 11] = [
    Claim::new("T1", "read-write", Quantity::SystemCalls, "two system calls: read(), write()"),
    Claim::new("T2", "read-write", Quantity::ModeSwitches, "four mode switches"),
    Claim::new(
        "T3",
        "read-write",
        Quantity::AllCopies,
        "four copies: disk → page cache (DMA), page cache → user buffer (CPU), user buffer → \
         socket buffer (CPU), socket buffer → NIC (DMA)",
    ),
    Claim::new("M1", "mmap-write", Quantity::SystemCalls, "two system calls: mmap(), write()"),
    Claim::new("M2", "mmap-write", Quantity::ModeSwitches, "four mode switches"),
    Claim::new(
        "M3",
        "mmap-write",
        Quantity::AllCopies,
        "three copies: disk → page cache (DMA), page cache → socket buffer (CPU), socket buffer → \
         NIC (DMA); mapping costs no CPU copy",
    ),
    Claim {
        one_fewer_than: Some("read-write"),
        ..Claim::new(
            "M4",
            "mmap-write",
            Quantity::CpuCopies,
            "one kernel/user copy fewer than read + write; the way from disk to NIC is not \
             copy-free",
        )
    },
    Claim::new("S1", "sendfile", Quantity::SystemCalls, "one system call: sendfile()"),
    Claim::new("S2", "sendfile", Quantity::ModeSwitches, "two mode switches"),
    Claim::new(
        "S3",
        "sendfile",
        Quantity::AllCopies,
        "two copies: disk → page cache, page cache → NIC directly, both DMA",
    ),
    Claim::new("S4", "sendfile", Quantity::CpuCopies, "\"zero copy\" means zero copies by the CPU"),
];

impl Claim {
    const fn new(
        id: &'static str,
        strategy: &'static str,
        quantity: Quantity,
        text: &'static str,
    ) -> Self {
        Self { id, strategy, quantity, text, one_fewer_than: None }
    }
}

impl Strategy {
    /// The textbook's description of a strategy, if there is one.
    pub fn of(name: &str) -> Option<&'static Self> {
        STRATEGIES.iter().find(|strategy| strategy.name == name)
    }

    /// The textbook's number.
    pub fn documented(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::SystemCalls => self.calls.len() as f64,
            Quantity::ModeSwitches => f64::from(self.mode_switches),
            copies => self.arrows.iter().filter(|arrow| copies.counts(arrow.by)).count() as f64,
        }
    }
}

impl Quantity {
    /// Whether this quantity counts movements by such a mover.
    pub fn counts(self, by: Mover) -> bool {
        match self {
            Self::SystemCalls | Self::ModeSwitches => false,
            Self::CpuCopies => by == Mover::Cpu,
            Self::DmaCopies => by == Mover::Dma,
            Self::AllCopies => by.copies(),
        }
    }
}
