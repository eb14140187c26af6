//! The programs' counts, summed over the CPUs.

use std::collections::BTreeMap;

use tracer_common::{Event, Flow, Key, Tally};

/// Every counter since the last reading.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    entries: Vec<(Key, Tally)>,
    /// Whether hardware breakpoints counted too.
    pub verified: bool,
    /// Events lost since then.
    pub lost: u64,
}

impl Counts {
    /// No counters yet.
    pub fn new(verified: bool) -> Self {
        Self { verified, ..Self::default() }
    }

    /// Adds one counter.
    pub fn add(&mut self, key: Key, tally: Tally) {
        self.entries.push((key, tally));
    }

    /// The counters of each flow.
    pub fn by_flow(&self) -> BTreeMap<Flow, Self> {
        let mut flows: BTreeMap<Flow, Self> = BTreeMap::new();
        for (key, tally) in &self.entries {
            let none = || Self::new(self.verified);
            flows.entry(key.flow).or_insert_with(none).entries.push((*key, *tally));
        }
        flows
    }

    /// The counters of one event.
    pub fn of(&self, event: Event) -> impl Iterator<Item = (Key, Tally)> + '_ {
        self.entries.iter().copied().filter(move |(key, _)| key.event == event as u8)
    }

    /// Their sum.
    pub fn total(&self, event: Event) -> Tally {
        sum(self.of(event))
    }
}

/// The sum of some.
pub fn total<'a>(values: impl Iterator<Item = &'a Tally>) -> Tally {
    values.fold(Tally::default(), |mut total, value| {
        total.add(value);
        total
    })
}

/// The sum of counters, whatever their keys.
pub fn sum(entries: impl Iterator<Item = (Key, Tally)>) -> Tally {
    entries.fold(Tally::default(), |sum, (_, tally)| total([sum, tally].iter()))
}
