//! The progress of each consumer group: its last record in a log of its own.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{
    log::{Log, Torn},
    record::{Record, RecordKind},
};
use crate::Result;

/// The offsets of the groups.
#[derive(Debug)]
pub struct Progress {
    log: Log,
    next: Mutex<HashMap<u32, u64>>,
}

impl Progress {
    /// Opens the log of the offsets.
    pub fn open(path: &Path) -> Result<(Self, Option<Torn>)> {
        let mut next = HashMap::new();
        let (log, torn) = Log::open(path, |record| {
            next.insert(record.group, record.origin);
            Ok(())
        })?;
        Ok((Self { log, next: Mutex::new(next) }, torn))
    }

    /// The offset that a group resumes from, if it has reported one.
    pub fn of(&self, group: u32) -> Option<u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).get(&group).copied()
    }

    /// Notes that a group is done with all messages before `next`.
    pub fn advance(&self, group: u32, next: u64) -> Result<()> {
        // Held until the record is appended: memory and log must end with the same offset.
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let range = self.log.append(&Record::mark(RecordKind::Progress, group, next))?;
        all.insert(group, next);
        drop(all);
        self.log.persist(range.end)
    }
}
