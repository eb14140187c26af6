//! Unseen events and the reasons: missing or refused features of the kernel, and lost events.

use std::collections::BTreeMap;

use aya::maps::PerCpuArray;
use tracer_ledger::Warning;

use super::{
    Session,
    error::{SessionError, map_error},
    misses,
    purpose::Purpose,
};
use crate::witness::layout::{Subject, Unknown};

impl Session {
    /// Probes that the kernel refused, and the events that are then unseen.
    pub fn unseen(&self) -> Vec<Warning> {
        let refused = self.refused.iter();
        let refused = refused.map(|error| Warning::NotAttached { error: error.to_string() });
        let has_sites = !self.plan.sites.is_empty();
        let concerns = |subject| match subject {
            Subject::IoUring => !has_sites,
            // A window follows the calls of mmap().
            Subject::Mappings => self.purpose != Purpose::Windows,
            Subject::PidNamespaces => self.options.namespace != 0,
            Subject::ControlGroups => self.options.cgroup != [0; 2],
            _ => true,
        };
        let unknown = self.plan.unknown.iter().filter(|unknown| concerns(unknown.subject));
        refused.chain(unknown.map(Unknown::warning)).collect()
    }

    /// Events lost since the last reading.
    pub(super) fn newly_lost(&mut self) -> Result<u64, SessionError> {
        let lost = self.lost()?.max(self.lost);
        let before = std::mem::replace(&mut self.lost, lost);
        Ok(lost - before)
    }

    /// Events lost since the session began.
    fn lost(&mut self) -> Result<u64, SessionError> {
        let lost = self.map::<PerCpuArray<_, u64>>("LOST")?;
        let lost = lost.get(&0, 0).map_err(|error| map_error("LOST", error))?;
        let given_up = lost.iter().sum::<u64>();
        let skipped = self.skipped();
        log::debug!("lost until now: {given_up} that programs gave up; not run were {skipped:?}");
        let unseen = skipped.iter().filter(|(program, _)| !self.has_twin(program));
        let unseen: u64 = unseen.map(|(_, times)| times).sum();
        // After that: events that a twin took over were skipped before.
        let taken_over = self.map::<PerCpuArray<_, u64>>("TAKEN_OVER")?.get(&0, 0);
        let taken_over = taken_over.map_err(|error| map_error("TAKEN_OVER", error))?;
        Ok(given_up + unseen.saturating_sub(taken_over.iter().sum::<u64>()))
    }

    /// The number of times the kernel could not run a program, for those that were skipped.
    fn skipped(&self) -> BTreeMap<&'static str, u64> {
        let all = self.object.programs();
        let all = all.filter_map(|(name, program)| Some((name, misses::of_program(program)?)));
        all.filter(|(_, times)| *times > 0).collect()
    }

    /// Whether another program sees the same events, or this one is such a twin.
    fn has_twin(&self, program: &str) -> bool {
        self.plan.tracepoints.iter().any(|witness| {
            witness.twin.is_some_and(|twin| {
                program == twin.program || !twin.takes_over && program == witness.name
            })
        })
    }
}
