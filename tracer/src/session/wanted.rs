//! Targets besides the traced processes: programs by their name or their control group, and signals.

use std::{os::unix::fs::MetadataExt as _, path::Path};

/// Targets besides the transfers of traced processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Programs of this name, traced from their start, whoever starts them.
    pub comm: Option<Comm>,
    /// Likewise, programs in the control group of this id, or below it; see [`cgroup_id`].
    pub cgroup: Option<u64>,
    /// Likewise, all programs.
    pub all: bool,
    /// Signals to the traced processes.
    pub signals: bool,
}

/// The kernel's id of a control group: the inode of its folder. None outside of version 2's hierarchy.
pub fn cgroup_id(folder: &Path) -> Option<u64> {
    /// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
    const CGROUP2: i64 = 0x6367_7270;
    let is_second = rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == CGROUP2);
    is_second.then(|| Some(std::fs::metadata(folder).ok()?.ino())).flatten()
}

/// A program's name as the kernel has it: the first 15 bytes, and zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    /// The name of such a program.
    pub fn of(name: &str) -> Self {
        let mut comm = [0; 16];
        comm.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
        Self(comm)
    }

    /// The name without the zeros.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// As programs compare it.
    pub(super) fn words(&self) -> [u32; 4] {
        let word = |index: usize| [0, 1, 2, 3].map(|byte| self.0[4 * index + byte]);
        [0, 1, 2, 3].map(|index| u32::from_ne_bytes(word(index)))
    }
}
