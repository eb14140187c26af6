//! A broker's storage: the commit log, the dead-letter log, and the progress of the groups. All its state
//! is derived from these logs, so that it is the same after a crash.

use std::path::Path;

use super::{
    Feature, Flavour,
    flavour::require,
    log::{FIRST, Log, Torn},
    mapping::Mapping,
    progress::Progress,
    record::{Record, RecordKind},
    redelivery::{Redeliveries, Redelivery},
    transaction::{Fate, Transactions},
    wire::{Order, Source},
};
use crate::{Error, Result};

/// Name of the commit log in the broker's directory.
pub const COMMIT_LOG: &str = "commit.log";
/// Name of the dead-letter log there.
pub const DEAD_LETTER_LOG: &str = "dead-letter.log";
const PROGRESS_LOG: &str = "progress.log";

/// A broker's logs, and the state derived from them.
#[derive(Debug)]
pub struct Store {
    flavour: Flavour,
    messages: Log,
    mapping: Mapping,
    dead_letters: Log,
    dead_mapping: Mapping,
    progress: Progress,
    transactions: Transactions,
    redeliveries: Redeliveries,
}

impl Store {
    /// Opens the logs in a directory, or makes them; returns the torn ends that were cut off.
    pub fn open(dir: &Path, flavour: Flavour) -> Result<(Self, Vec<Torn>)> {
        let tried = format!("make the broker's directory {}", dir.display());
        std::fs::create_dir_all(dir).map_err(Error::os(tried))?;
        let transactions = Transactions::default();
        let redeliveries = Redeliveries::default();
        let (messages, torn_message) = Log::open(&dir.join(COMMIT_LOG), |record| {
            admit(flavour, record)?;
            transactions.learn(record);
            redeliveries.learn(record);
            Ok(())
        })?;
        let (dead_letters, torn_letter) = Log::open(&dir.join(DEAD_LETTER_LOG), |record| {
            redeliveries.learn(record);
            Ok(())
        })?;
        let (progress, torn_progress) = Progress::open(&dir.join(PROGRESS_LOG))?;
        let store = Self {
            flavour,
            messages,
            mapping: Mapping::default(),
            dead_letters,
            dead_mapping: Mapping::default(),
            progress,
            transactions,
            redeliveries,
        };
        let torn = [torn_message, torn_letter, torn_progress];
        Ok((store, torn.into_iter().flatten().collect()))
    }

    /// How messages are handed out.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// A log by its name on the wire.
    pub fn log(&self, source: Source) -> &Log {
        match source {
            Source::Messages => &self.messages,
            Source::DeadLetters => &self.dead_letters,
        }
    }

    /// The part of a log that is on disk.
    pub fn content(&self, source: Source) -> Result<&[u8]> {
        match source {
            Source::Messages => self.mapping.of(&self.messages),
            Source::DeadLetters => self.dead_mapping.of(&self.dead_letters),
        }
    }

    /// Bytes of the longest message.
    pub fn longest(&self) -> usize {
        self.messages.longest()
    }

    /// The offset that an order begins at.
    pub fn first_from(&self, order: &Order<'_>) -> u64 {
        let asked = Some(order.from).filter(|from| *from != 0);
        let left_off = match order.source {
            Source::Messages => self.progress.of(order.group),
            Source::DeadLetters => None,
        };
        asked.or(left_off).unwrap_or(FIRST)
    }

    /// Refuses an order that this flavour cannot carry out.
    pub fn check(&self, order: &Order<'_>) -> Result<()> {
        if !order.tag.is_empty() {
            require(self.flavour, Feature::TagFilter)?;
        }
        if order.source == Source::DeadLetters {
            require(self.flavour, Feature::Redelivery)?;
        }
        Ok(())
    }

    /// Puts a producer's message on disk and returns its offset.
    pub fn produce(&self, message: &Record<'_>) -> Result<u64> {
        if message.kind == RecordKind::Half {
            require(self.flavour, Feature::Transaction)?;
        }
        let fields = Record { tries: 0, group: 0, origin: 0, ..*message };
        self.messages.store(&fields)
    }

    /// Ends a transaction and returns the offset of the record that ended it.
    pub fn end(&self, half: u64, fate: Fate) -> Result<u64> {
        require(self.flavour, Feature::Transaction)?;
        self.transactions.end(&self.messages, &self.mapping, half, fate)
    }

    /// Notes that a group failed with a message.
    pub fn failed(&self, group: u32, offset: u64) -> Result<Redelivery> {
        require(self.flavour, Feature::Redelivery)?;
        let failed = (group, offset);
        self.redeliveries.failed(&self.messages, &self.mapping, &self.dead_letters, failed)
    }

    /// Notes the progress of a group.
    pub fn advance(&self, group: u32, next: u64) -> Result<()> {
        self.progress.advance(group, next)
    }

    /// The number of flushes of messages to disk.
    pub fn syncs(&self) -> u64 {
        self.messages.syncs()
    }
}

/// A broker that does not read records must not store any that consumers may not get.
fn admit(flavour: Flavour, record: &Record<'_>) -> Result<()> {
    match record.kind {
        RecordKind::Half | RecordKind::Rollback => require(flavour, Feature::Transaction),
        RecordKind::Retry => require(flavour, Feature::Redelivery),
        _ => Ok(()),
    }
}
