//! Names of the processes and objects that the eBPF programs described, by their ids.

use std::collections::BTreeMap;

use tracer_common::flow::{self, Object};
use tracer_ledger::flows::{Endpoint, Flow, Kind, Process, UNKNOWN};

use super::{endpoint::Surroundings, words::text};

/// The known names. They grow with the traced processes and objects; above [`MOST`] of either, the least
/// recently used are forgotten.
#[derive(Debug, Default)]
pub struct Names {
    processes: BTreeMap<u32, Used<Process>>,
    objects: BTreeMap<u32, Used<Endpoint>>,
    /// The process of each thread, if threads are told apart.
    owners: BTreeMap<u32, u32>,
    uses: u64,
    surroundings: Surroundings,
}

/// The most names of each kind that are kept.
const MOST: usize = 100_000;

/// A name, and when it was used last.
#[derive(Debug)]
struct Used<T> {
    it: T,
    at: u64,
}

/// Keeps the more recently used half.
fn forget<T>(names: &mut BTreeMap<u32, Used<T>>) {
    if names.len() <= MOST {
        return;
    }
    let mut uses: Vec<u64> = names.values().map(|name| name.at).collect();
    let (_, middle, _) = uses.select_nth_unstable(MOST / 2);
    let middle = *middle;
    names.retain(|_, name| name.at > middle);
}

impl Names {
    /// Reads the facts that names depend on.
    pub fn new() -> Self {
        Self { surroundings: Surroundings::read(), ..Self::default() }
    }

    /// Adds descriptions of processes and objects.
    pub fn learn(
        &mut self,
        processes: Vec<(u32, flow::TracedProcess)>,
        objects: Vec<(u32, Object)>,
    ) {
        forget(&mut self.processes);
        forget(&mut self.objects);
        if self.owners.len() > MOST {
            self.owners.retain(|thread, _| self.processes.contains_key(thread));
        }
        self.uses += 1;
        let at = self.uses;
        for (id, process) in processes {
            let name = text(&process.name).into_owned();
            let thread = (process.thread != 0).then_some(process.thread);
            let it = Process { name, pid: Some(process.pid), thread };
            self.processes.insert(id, Used { it, at });
            if process.owner != 0 {
                self.owners.insert(id, process.owner);
            }
        }
        for (id, object) in objects {
            let it = self.surroundings.endpoint(&object);
            self.objects.insert(id, Used { it, at });
        }
    }

    /// A flow by names. A forgotten process or object is called unknown.
    pub fn flow(&mut self, flow: tracer_common::Flow) -> Flow {
        self.uses += 1;
        let unknown = || Process { name: UNKNOWN.into(), pid: None, thread: None };
        Flow {
            process: used(&mut self.processes, flow.process, self.uses).unwrap_or_else(unknown),
            source: (flow.source != flow::ANY).then(|| self.object(flow.source)),
            destination: self.object(flow.destination),
        }
    }

    /// The process of a thread; a process is its own.
    pub fn owner(&self, process: u32) -> u32 {
        self.owners.get(&process).copied().unwrap_or(process)
    }

    /// The id that users know a process by.
    pub fn pid(&self, process: u32) -> Option<u32> {
        self.processes.get(&process).and_then(|process| process.it.pid)
    }

    /// An object by its name.
    pub fn object(&mut self, id: u32) -> Endpoint {
        if is_no_object(id) {
            return Endpoint::memory();
        }
        let unknown = || Endpoint::new(Kind::Other, UNKNOWN);
        used(&mut self.objects, id, self.uses).unwrap_or_else(unknown)
    }
}

fn used<T: Clone>(names: &mut BTreeMap<u32, Used<T>>, id: u32, now: u64) -> Option<T> {
    let name = names.get_mut(&id)?;
    name.at = now;
    Some(name.it.clone())
}

fn is_no_object(id: u32) -> bool {
    id == flow::MEMORY || id == flow::ANY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_called_so_and_memory_is_memory() {
        let flow = tracer_common::Flow { process: 3, source: flow::MEMORY, destination: 77 };
        let mut names = Names::default();
        let named = names.flow(flow);
        assert_eq!(named.process.name, "(unknown)");
        assert_eq!(named.source, Some(Endpoint::memory()));
        assert_eq!(named.destination.name, "(unknown)");
        assert_eq!(names.flow(tracer_common::Flow { source: flow::ANY, ..flow }).source, None);
    }

    #[test]
    fn what_was_used_last_is_remembered() {
        let used = |at| Used { it: at, at };
        let mut names = (0..=MOST as u32).map(|id| (id, used(u64::from(id)))).collect();
        forget(&mut names);
        assert_eq!(names.len(), MOST / 2);
        assert!(names.contains_key(&(MOST as u32)) && !names.contains_key(&0));
    }
}
