//! Counting what Java virtual machines copy in their memory: breakpoints where their stubs begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aya::maps::HashMap;
use tracer_common::Task;

use super::{
    Session,
    attach::Link,
    breakpoints::Breakpoints,
    error::{SessionError, map_error},
    follow::is_given_out_here,
    jvms::Sight,
    maps::is_gone,
    programs::STUB,
    refusal::Refusal,
};
use crate::hotspot::{self, Finder};

const MAP: &str = "STUBS";

/// What was found out of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jvm {
    /// Its id as users know it.
    pub pid: u32,
    /// What is seen of its copies.
    pub sight: Sight,
}

/// The stubs that are known.
#[derive(Default)]
pub struct Stubs {
    finder: Finder,
    /// By process, as it is called in flows.
    at: BTreeMap<u32, u64>,
    /// The breakpoints at each address.
    links: BTreeMap<u64, Vec<Link>>,
}

impl Stubs {
    /// Gives up all breakpoints, to be detached.
    pub fn take_links(&mut self) -> impl Iterator<Item = Link> + use<> {
        std::mem::take(&mut self.links).into_values().flatten()
    }
}

/// How long a process has run, if it still does.
fn age(pid: u32) -> Option<Duration> {
    let began = began(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).ok()?.checked_sub(began)
}

/// When a process began, since the machine did: the twentieth field after the name, which may have anything
/// in it.
fn began(stat: &str) -> Option<Duration> {
    /// A hundredth of a second (`USER_HZ`).
    const TICK_MS: u64 = 10;
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks.saturating_mul(TICK_MS)))
}

impl Session {
    /// Looks for virtual machines among the traced processes: those of which it was found out now what is
    /// seen of their copies, which are counted from now on.
    pub fn look_for_jvms(&mut self) -> Result<Vec<Jvm>, SessionError> {
        let tasks = self.map::<HashMap<_, u32, Task>>("TASKS")?;
        let traced: BTreeMap<u32, u32> =
            tasks.iter().flatten().map(|(_, task)| (task.process, task.pid)).collect();
        let now = Instant::now();
        let (due, gone) = self.jvms.due(&traced.keys().copied().collect::<BTreeSet<_>>(), now);
        for process in gone {
            self.forget_stub(process)?;
        }
        let mut found = Vec::new();
        for process in due {
            let Some(&pid) = traced.get(&process) else { continue };
            if let Some(sight) = self.look_at(process, pid, now)? {
                self.jvms.settle(process);
                found.push(Jvm { pid, sight });
            }
        }
        Ok(found)
    }

    fn counts_jvm_copies(&self) -> bool {
        self.breakpoints == Breakpoints::OnStubs
    }

    /// Whether a virtual machine may begin soon whose copies are to be counted.
    pub fn awaits_jvm(&self) -> bool {
        self.counts_jvm_copies() && self.jvms.are_awaited(Instant::now())
    }

    fn look_at(
        &mut self,
        process: u32,
        pid: u32,
        now: Instant,
    ) -> Result<Option<Sight>, SessionError> {
        if !self.counts_jvm_copies() {
            let looked = hotspot::runs_in(pid).then_some(Sight::NotAsked);
            if looked.is_none() {
                let _ = self.jvms.learn(process, Ok(None), now);
            }
            return Ok(looked);
        }
        let Some(learnt) = self.jvms.learn(process, self.stubs.finder.stub(pid), now) else {
            return Ok(None);
        };
        Ok(Some(match learnt {
            Err(reason) => Sight::Nothing(reason),
            Ok((address, is_first)) => match self.count_at(process, address)? {
                Err(refusal) => Sight::Nothing(refusal.to_string()),
                Ok(()) if is_first && is_given_out_here(process) => Sight::FromTheBeginning,
                Ok(()) => Sight::Late(age(pid).unwrap_or_default()),
            },
        }))
    }

    /// Has the copies of a process counted, or says why the kernel refuses.
    fn count_at(
        &mut self,
        process: u32,
        address: u64,
    ) -> Result<Result<(), Refusal>, SessionError> {
        if !self.stubs.links.contains_key(&address) {
            match self.on_every_cpu(STUB, address)? {
                Ok(links) => drop(self.stubs.links.insert(address, links)),
                Err(refusal) => {
                    let why = "each virtual machine takes one of the four breakpoints of a CPU";
                    return Ok(Err(refusal.and(why)));
                }
            }
        }
        self.stubs.at.insert(process, address);
        let inserted = self.map::<HashMap<_, u32, u64>>(MAP)?.insert(process, address, 0);
        if let Err(error) = inserted {
            self.forget_stub(process)?;
            return Ok(
                Err(Refusal::from(error).and("there are too many virtual machines at once")),
            );
        }
        Ok(Ok(()))
    }

    /// The breakpoint goes with the last process that has its stub there.
    fn forget_stub(&mut self, process: u32) -> Result<(), SessionError> {
        let Some(address) = self.stubs.at.remove(&process) else { return Ok(()) };
        if !self.stubs.at.values().any(|other| *other == address) {
            self.stubs.links.remove(&address);
        }
        match self.map::<HashMap<_, u32, u64>>(MAP)?.remove(&process) {
            Err(error) if !is_gone(&error) => Err(map_error(MAP, error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_process_grows() {
        let stat = "7 (a) b) S 1 7 7 0 -1 64 82 0 0 0 1 2 0 0 20 0 1 0 4711 0 0";
        assert_eq!(began(stat), Some(Duration::from_millis(47_110)));
        assert_eq!(began("what nobody can read"), None);
        let before = age(std::process::id()).unwrap();
        while age(std::process::id()).unwrap() == before {}
        assert_eq!(age(0), None);
    }
}
