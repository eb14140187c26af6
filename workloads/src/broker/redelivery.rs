//! Failed messages: a message that a group failed with is appended again for that group, and after
//! [`TRIES`] failures to the dead-letter log instead. The number of failures is in the record, and the
//! logs alone tell which messages were appended again.

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

/// Failures of a group with a message before it counts as dead.
pub const TRIES: u8 = 3;

/// The fate of a failed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// It comes again, from this offset of the commit log.
    Again(u64),
    /// It lies at this offset of the dead-letter log.
    Dead(u64),
}

/// The messages that groups failed with, by group and offset.
#[derive(Debug, Default)]
pub struct Redeliveries(Mutex<HashMap<(u32, u64), Redelivery>>);

impl Redeliveries {
    /// Reads a record of either log, at start-up.
    pub fn learn(&self, record: &Record<'_>) {
        let redelivery = match record.kind {
            RecordKind::Retry => Redelivery::Again(record.offset),
            RecordKind::Dead => Redelivery::Dead(record.offset),
            _ => return,
        };
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert((record.group, record.origin), redelivery);
    }

    /// Notes that a group failed with the message at `offset`. A repeated report changes nothing.
    pub fn failed(
        &self,
        log: &Log,
        mapping: &Mapping,
        dead_letters: &Log,
        (group, offset): (u32, u64),
    ) -> Result<Redelivery> {
        let message = mapping.record(log, offset)?.filter(|record| match record.kind {
            RecordKind::Message => true,
            RecordKind::Retry => record.group == group,
            _ => false,
        });
        let Some(message) = message else {
            return Err(Error::Refused(format!(
                "group {group} was sent no message from offset {offset}: give the offset that \
                 the message has"
            )));
        };
        let tries = message.tries + 1;
        let again = Record { tries, group, origin: offset, kind: RecordKind::Retry, ..message };
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let redelivery = match failed.get(&(group, offset)) {
            Some(redelivery) => *redelivery,
            None => {
                let redelivery = if tries < TRIES {
                    Redelivery::Again(log.append(&again)?.start)
                } else {
                    let dead = Record { kind: RecordKind::Dead, ..again };
                    Redelivery::Dead(dead_letters.append(&dead)?.start)
                };
                failed.insert((group, offset), redelivery);
                redelivery
            }
        };
        drop(failed);
        match redelivery {
            Redelivery::Again(at) => log.persist(at + 1)?,
            Redelivery::Dead(at) => dead_letters.persist(at + 1)?,
        }
        Ok(redelivery)
    }
}
