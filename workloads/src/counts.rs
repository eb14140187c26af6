//! A strategy's counts of its own calls, kept without any system call.

use std::collections::BTreeMap;

use tracer_ledger::ZeroCopy;

/// The most different system calls of a strategy in its window.
const NAMES: usize = 8;

/// Counts of one transfer. Nothing here allocates: it is used inside the window.
#[derive(Debug, Default)]
pub struct CallCounts {
    calls: [(&'static str, u64); NAMES],
    /// Bytes handed to the socket.
    pub sent: u64,
    /// Calls that read less than asked.
    pub partial_reads: u64,
    /// Calls that sent less than asked.
    pub partial_writes: u64,
    /// Calls that a signal interrupted.
    pub interrupted: u64,
    /// The kernel's notifications of zero-copy sends.
    pub zero_copy: Option<ZeroCopy>,
}

impl CallCounts {
    /// Counts one system call by name.
    pub fn call(&mut self, name: &'static str) {
        let slot = self.calls.iter_mut().find(|(used, _)| used.is_empty() || *used == name);
        let (used, count) = slot.expect("a strategy makes at most eight different system calls");
        *used = name;
        *count += 1;
    }

    /// Counts `sends` zero-copy sends that the kernel is done with, and whether it copied them after all.
    pub fn zero_copy(&mut self, sends: u64, copied: Option<bool>) {
        let said = self.zero_copy.get_or_insert_default();
        said.notifications += sends;
        if let Some(copied) = copied {
            *said.copied.get_or_insert_default() += if copied { sends } else { 0 };
        }
    }

    /// The calls by name.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let made = self.calls.iter().filter(|(name, _)| !name.is_empty());
        made.map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name() {
        let mut counts = CallCounts::default();
        for name in ["mmap", "write", "write"] {
            counts.call(name);
        }
        let expected = BTreeMap::from([("mmap".to_owned(), 1), ("write".to_owned(), 2)]);
        assert_eq!(counts.calls(), expected);
    }
}
