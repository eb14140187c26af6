//! Reading the counters from the maps.

use std::collections::BTreeMap;

use aya::maps::PerCpuHashMap;
use tracer_common::{Key, Tally};

use super::{
    Session,
    error::{SessionError, map_error},
};

/// Sums over the CPUs.
type Sums = BTreeMap<Key, Tally>;

fn add(sums: &mut Sums, key: Key, tally: &Tally) {
    sums.entry(Key { cpu: 0, ..key }).or_default().add(tally);
}

impl Session {
    /// The counters of a finished epoch, summed over the CPUs.
    pub(super) fn take(&mut self, epoch: u32) -> Result<Vec<(Key, Tally)>, SessionError> {
        let maps = match epoch {
            0 => ["COUNTS_EVEN", "OVERFLOW_EVEN"],
            _ => ["COUNTS_ODD", "OVERFLOW_ODD"],
        };
        let mut counters = Sums::default();
        for (counter, tally) in self.take_all(maps[0])? {
            add(&mut counters, counter, &tally);
        }
        self.take_overflow(maps[1], &mut counters)?;
        Ok(counters.into_iter().collect())
    }

    /// Reads and empties a map of events that found no counter.
    fn take_overflow(&mut self, name: &'static str, sums: &mut Sums) -> Result<(), SessionError> {
        let mut map = self.map::<PerCpuHashMap<_, Key, Tally>>(name)?;
        let keys: Vec<Key> = map.keys().flatten().collect();
        for key in keys {
            let Ok(values) = map.get(&key, 0) else { continue };
            values.iter().for_each(|tally| add(sums, key, tally));
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(())
    }
}
