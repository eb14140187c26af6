//! Data for the programs before they run: call sites, process numbers, cycle counters.

use aya::maps::{HashMap, MapData};
use tracer_common::{NO_ITERATOR, Site};

use super::{
    Session,
    attach::Link,
    counters::Counters,
    error::{SessionError, map_error},
    numbers::{self, Numbers},
};
use crate::witness::{self, sites::CallSite};

impl Session {
    /// Fills the map of call sites, before any program runs.
    pub(super) fn fill_sites(&mut self) -> Result<(), SessionError> {
        let sites = self.plan.sites.iter().map(|site| (site.address, site_of(site)));
        let leaves = self.plan.leaves.iter().map(|leaf| (leaf.address, leaf.site));
        let all: Vec<(u64, Site)> = sites.chain(leaves).collect();
        let mut map = self.map::<HashMap<&mut MapData, u64, Site>>("SITES")?;
        for (address, site) in all {
            map.insert(address, site, 0).map_err(|error| map_error("SITES", error))?;
        }
        Ok(())
    }

    /// Reads the numbers of processes, in a PID namespace.
    pub(super) fn fill_numbers(&mut self) -> Result<(), SessionError> {
        if self.options.namespace != 0 {
            let program = self.program(numbers::PROGRAM)?;
            self.numbers = Some(Numbers::new(program).map_err(SessionError::Numbers)?);
        }
        Ok(())
    }

    /// The kernel's number of a process; none if it has ended.
    pub(super) fn kernel_number(&self, pid: u32) -> Result<Option<u32>, SessionError> {
        let Some(numbers) = &self.numbers else { return Ok(Some(pid)) };
        Ok(numbers.all().map_err(SessionError::Numbers)?.get(&pid).copied())
    }

    /// Gives the programs the counters of each CPU, which live as long as the session.
    pub(super) fn fill_counters(&mut self, counters: Counters) -> Result<(), SessionError> {
        if let Some(map) = self.object.map("CYCLES") {
            counters.put_into(map).map_err(|error| map_error("CYCLES", error))?;
        }
        self.links.extend(counters.into_events().map(Link::event));
        Ok(())
    }
}

fn site_of(site: &CallSite) -> Site {
    let routine = site.routine;
    debug_assert_ne!(routine.iterator, NO_ITERATOR, "copies by packet are function probes");
    witness::site(routine.count, routine.iterator, routine.from_iterator)
}
