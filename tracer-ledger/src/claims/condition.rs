//! Conditions of a run that the textbook does not assume, and the effect of each.

use super::documents::Arrow;
use crate::{Movement, Mover, Place};

/// A condition of a run that the textbook does not assume: it assumes a cold cache and a
/// network device that gathers its packets from scattered pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The file was in the page cache before the first message was sent.
    WarmCache,
    /// The consumer is on the same machine.
    Loopback,
    /// The network device is a virtual one, such as one end of a veth pair.
    VirtualNic,
    /// Scatter-gather is missing, or off.
    NoScatterGather,
}

/// The effect of a condition: one movement, and its bytes per payload byte.
#[derive(Debug, PartialEq)]
pub(super) struct Effect {
    from: Place,
    to: Place,
    by: Mover,
    /// Bytes per payload byte under the condition.
    pub(super) expected: f64,
    /// The reason.
    pub(super) reason: &'static str,
}

const NO_DISK_DMA: Effect = Effect {
    from: Place::Disk,
    to: Place::PageCache,
    by: Mover::Dma,
    expected: 0.0,
    reason: "the page cache was warm: no disk DMA",
};

const NO_NIC: Effect = Effect {
    from: Place::Socket,
    to: Place::Nic,
    by: Mover::Dma,
    expected: 0.0,
    reason: "loopback has no NIC: no NIC DMA",
};

const NO_NIC_DMA: Effect = Effect { reason: "the network device is virtual: no NIC DMA", ..NO_NIC };

const LINEARISING_COPY: Effect = Effect {
    from: Place::Socket,
    to: Place::Kernel,
    by: Mover::Cpu,
    expected: 1.0,
    reason: "scatter-gather is off: one linearising copy before the driver",
};

impl Condition {
    pub(super) fn effect(self) -> &'static Effect {
        match self {
            Self::WarmCache => &NO_DISK_DMA,
            Self::Loopback => &NO_NIC,
            Self::VirtualNic => &NO_NIC_DMA,
            Self::NoScatterGather => &LINEARISING_COPY,
        }
    }
}

impl Effect {
    /// Whether the condition concerns an arrow of the textbook.
    pub(super) fn changes(&self, arrow: &Arrow) -> bool {
        arrow.from.contains(&self.from) && arrow.to == self.to && arrow.by == self.by
    }

    /// Whether the condition causes a movement.
    pub(super) fn brings(&self, movement: &Movement) -> bool {
        (self.from, self.to, self.by) == (movement.from, movement.to, movement.by)
    }
}
