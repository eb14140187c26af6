//! The flows of the traced processes since the last reading.

use std::{collections::BTreeMap, time::Instant};

use aya::maps::Array;
use tracer_common::{
    Key, Stacks, Tally,
    flow::{Object, TracedProcess},
    stack::Module,
};
use tracer_ledger::flows::{self, Ledger, derive::Witnesses};

use super::{
    Session,
    counts::{Counts, total},
    error::{SessionError, map_error},
    stacks::Sample,
    traffic::observe,
    unexplained::Unexplained,
};
use crate::naming::Names;

/// Processes and objects with the ids they have in flows.
type Discovered = (Vec<(u32, TracedProcess)>, Vec<(u32, Object)>);

/// The counts since the last reading, by name.
#[derive(Debug, Default)]
pub struct Taken {
    /// The traffic of each flow.
    pub ledger: Ledger,
    /// The stacks of copies, if they are asked for.
    pub samples: Vec<Sample>,
    /// The new mappings of machine code.
    pub modules: Vec<Module>,
    /// Bytes that breakpoints saw and call sites did not.
    pub unexplained: Unexplained,
    /// Events lost.
    pub lost: u64,
}

impl Session {
    /// Whether the counters can be read.
    pub fn can_be_read(&mut self) -> bool {
        self.map::<Array<_, u32>>("EPOCH").is_ok_and(|map| map.get(&0, 0).is_ok())
    }

    /// The capabilities of the plan's witnesses.
    pub fn witnesses(&self) -> Witnesses {
        Witnesses { copies: !self.plan.sites.is_empty(), references: !self.plan.probes.is_empty() }
    }

    /// Takes the counts since the last reading, by name; counting continues.
    pub fn take_flows(&mut self, names: &mut Names) -> Result<Taken, SessionError> {
        let (counts, samples) = self.drain()?;
        let modules = self.modules()?;
        // After the counters: their processes and objects were described before them.
        let (processes, objects) = self.discover()?;
        names.learn(processes, objects);
        let mut taken = Taken { samples, modules, lost: counts.lost, ..Taken::default() };
        for (flow, counts) in counts.by_flow() {
            let traffic = observe(&counts, &self.plan);
            if self.verify {
                taken.unexplained.add(Unexplained::of(&counts, &self.plan));
            }
            flows::add(&mut taken.ledger, names.flow(flow), &traffic);
        }
        Ok(taken)
    }

    /// Takes the counts since the last reading; counting continues. With stacks, also the samples.
    fn drain(&mut self) -> Result<(Counts, Vec<Sample>), SessionError> {
        let start = Instant::now();
        let epoch = self.next_epoch()?;
        let waited = start.elapsed();
        let counters = self.take(epoch)?;
        let (count, took) = (counters.len(), start.elapsed());
        log::debug!("{count} counters in {took:?}, of which {waited:?} for the programs to end");
        let samples = self.samples(epoch, &counters)?;
        let mut counts = Counts::new(self.verify);
        for (key, tally) in without_stacks(&counters) {
            counts.add(key, tally);
        }
        counts.lost = self.newly_lost()?;
        Ok((counts, samples))
    }

    /// Starts the other epoch for new events, and returns the finished one.
    fn next_epoch(&mut self) -> Result<u32, SessionError> {
        let mut map = self.map::<Array<_, u32>>("EPOCH")?;
        let over = map.get(&0, 0).map_err(|error| map_error("EPOCH", error))?;
        map.set(0, over ^ 1, 0).map_err(|error| map_error("EPOCH", error))?;
        wait_for_programs();
        Ok(over)
    }

    /// The processes and objects that are new since the last reading.
    fn discover(&mut self) -> Result<Discovered, SessionError> {
        Ok((self.take_all("PROCESSES")?, self.take_all("OBJECTS")?))
    }
}

/// The counters, summed over stacks.
fn without_stacks(counters: &[(Key, Tally)]) -> BTreeMap<Key, Tally> {
    let mut sums: BTreeMap<Key, Tally> = BTreeMap::new();
    for (key, tally) in counters {
        let sum = sums.entry(Key { stacks: Stacks::NONE, ..*key }).or_default();
        *sum = total([*sum, *tally].iter());
    }
    sums
}

/// Waits until every program that runs now has finished: they run under RCU.
fn wait_for_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;
    // SAFETY: the call has no pointers. Where it is refused, the few events that programs are
    // counting at this moment are read with the next epoch but one.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
