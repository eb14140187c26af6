//! Transactions: a half message is stored in the log, invisible to consumers. Commit appends it again as
//! a message, at the end of the log; rollback appends a mark. So the log alone tells the fate of a half
//! message. As in RocketMQ, a transaction is one message.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{
    log::Log,
    mapping::Mapping,
    record::{Record, RecordKind},
};
use crate::{Error, Result};

/// The ways a transaction can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its message is visible.
    Committed,
    /// Its message stays invisible.
    RolledBack,
}

/// The transactions that ended, by the offset of their half message.
#[derive(Debug, Default)]
pub struct Transactions(Mutex<HashMap<u64, (Fate, u64)>>);

impl Transactions {
    /// Reads a record of the log, at start-up.
    pub fn learn(&self, record: &Record<'_>) {
        let fate = match record.kind {
            RecordKind::Message if record.origin != 0 => Fate::Committed,
            RecordKind::Rollback => Fate::RolledBack,
            _ => return,
        };
        let mut fates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fates.insert(record.origin, (fate, record.offset));
    }

    /// Ends the transaction of the half message at `half`, and returns the offset of the record that
    /// ended it. Ending it again in the same way changes nothing.
    pub fn end(&self, log: &Log, mapping: &Mapping, half: u64, fate: Fate) -> Result<u64> {
        let message = mapping.record(log, half)?.filter(|record| record.kind == RecordKind::Half);
        let Some(message) = message else {
            return Err(Error::Refused(format!(
                "no transaction began at offset {half}: give the offset that its message got"
            )));
        };
        let successor = match fate {
            Fate::Committed => Record { kind: RecordKind::Message, origin: half, ..message },
            Fate::RolledBack => Record::mark(RecordKind::Rollback, 0, half),
        };
        // Held until the record is appended: two threads that end it at once must not both append.
        let mut fates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = match fates.get(&half) {
            Some((ended, offset)) if *ended == fate => *offset,
            Some((ended, _)) => {
                return Err(Error::Refused(format!(
                    "the transaction at offset {half} was {} before",
                    match ended {
                        Fate::Committed => "committed",
                        Fate::RolledBack => "rolled back",
                    }
                )));
            }
            None => {
                let range = log.append(&successor)?;
                fates.insert(half, (fate, range.start));
                range.start
            }
        };
        drop(fates);
        log.persist(offset + 1)?;
        Ok(offset)
    }
}
