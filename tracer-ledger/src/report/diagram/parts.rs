//! The parts of a picture: where bytes are, and what an arrow between two places stands for.

use crate::{Mover, Place};

/// Columns of a picture.
pub(super) const WIDTH: usize = 66;

/// A part of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Zone {
    User,
    Kernel,
    Devices,
}

/// A place in a picture. Where one way leads from a place to another of its kind, there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Spot {
    Disk,
    PageCache,
    User,
    Pipe,
    Kernel,
    Socket,
    Nic,
    /// Of the process that receives.
    SecondUser,
    /// Of the file that is written.
    SecondPageCache,
    SecondDisk,
    /// Where bytes come from that no probe saw move.
    Unseen,
}

impl Spot {
    /// Each, in the order of the way.
    pub(super) const ALL: [Self; 11] = [
        Self::Disk,
        Self::PageCache,
        Self::User,
        Self::Pipe,
        Self::Unseen,
        Self::Kernel,
        Self::Socket,
        Self::Nic,
        Self::SecondUser,
        Self::SecondPageCache,
        Self::SecondDisk,
    ];

    pub(super) fn zone(self) -> Zone {
        match self {
            Self::User | Self::SecondUser => Zone::User,
            Self::Disk | Self::Nic | Self::SecondDisk => Zone::Devices,
            Self::PageCache
            | Self::Pipe
            | Self::Kernel
            | Self::Socket
            | Self::SecondPageCache
            | Self::Unseen => Zone::Kernel,
        }
    }

    pub(super) fn of(place: Place) -> Self {
        match place {
            Place::Disk => Self::Disk,
            Place::PageCache => Self::PageCache,
            Place::User => Self::User,
            Place::Socket => Self::Socket,
            Place::Pipe => Self::Pipe,
            Place::Kernel => Self::Kernel,
            Place::Nic => Self::Nic,
        }
    }

    /// The other one of its kind.
    pub(super) fn second(self) -> Self {
        match self {
            Self::Disk => Self::SecondDisk,
            Self::PageCache => Self::SecondPageCache,
            Self::User => Self::SecondUser,
            other => other,
        }
    }
}

/// What an arrow stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Moved(Mover),
    /// It must have moved, and no probe saw it.
    Unseen,
}

/// A movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) kind: Kind,
    /// None if it is not known.
    pub(super) bytes: Option<u64>,
    pub(super) is_derived: bool,
}
