//! Stacks of copies: each CPU copy's bytes, by the functions it was made in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Flow, Ledger, Process,
    apportion::apportion,
    group::{Per, coarse},
};
use crate::{Movement, Mover, Place, Provenance};

/// A function on a stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// Its name; in brackets, the next best information.
    pub function: String,
    /// The file its machine code is in; `kernel` for the kernel's.
    pub module: String,
}

/// A stack, the innermost function first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stack {
    /// In the kernel.
    pub kernel: Vec<Frame>,
    /// In the program.
    pub user: Vec<Frame>,
}

/// The events that stacks are taken for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// A copy.
    Copy {
        /// From where.
        from: Place,
        /// To where.
        to: Place,
        /// The kernel's copy routine.
        routine: String,
    },
    /// A system call of this name, whose copies are derived.
    Call(String),
}

/// The bytes and events of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Bytes copied, or returned by the call.
    pub bytes: u64,
    /// The number of events.
    pub calls: u64,
}

/// A flow, an event, and a stack.
pub type Sighting = (Flow, Seen, Stack);

/// All sightings, by flow, event and stack.
pub type Stacks = BTreeMap<Sighting, Weight>;

/// Adds a sighting.
pub fn add(stacks: &mut Stacks, flow: &Flow, seen: Seen, stack: Stack, weight: Weight) {
    let sum = stacks.entry((coarse(flow, Per::Path), seen, stack)).or_default();
    sum.bytes += weight.bytes;
    sum.calls += weight.calls;
}

/// Drops the programs' functions, so that fewer stacks are left.
pub fn without_programs(stacks: Stacks) -> Stacks {
    let mut fewer = Stacks::new();
    for ((flow, seen, stack), weight) in stacks {
        add(&mut fewer, &flow, seen, Stack { user: Vec::new(), ..stack }, weight);
    }
    fewer
}

/// Copies made at one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    /// The process.
    pub process: Process,
    /// From where.
    pub from: Place,
    /// To where.
    pub to: Place,
    /// Whether the copies were seen there, or are derived from a return value.
    pub provenance: Provenance,
    /// The routine that copied, or the call; empty if no stack was seen.
    pub routine: String,
    /// The stack; empty if none was seen.
    pub stack: Stack,
    /// Bytes copied.
    pub bytes: u64,
    /// The number of calls; 0 if derived.
    pub calls: u64,
}

/// All CPU copies of a ledger by stack, the most bytes first. The ledger is derived, but not yet linked.
/// The copies add up to the ledger's; those without a sighting have an empty stack.
pub fn settle(stacks: &Stacks, ledger: &Ledger) -> Vec<Copies> {
    let mut seen: BTreeMap<&Flow, Vec<(&Sighting, &Weight)>> = BTreeMap::new();
    for (sighting, weight) in stacks {
        seen.entry(&sighting.0).or_default().push((sighting, weight));
    }
    let mut copies = Vec::new();
    for (flow, movements) in by_flow(ledger) {
        let seen = seen.get(&flow).map_or(&[][..], Vec::as_slice);
        for ((from, to, provenance), bytes) in movements {
            let whole = Copies {
                process: flow.process.clone(),
                from,
                to,
                provenance,
                routine: String::new(),
                stack: Stack::default(),
                bytes,
                calls: 0,
            };
            copies.extend(at_stacks(whole, seen));
        }
    }
    copies.sort_by_key(|copies| std::cmp::Reverse(copies.bytes));
    copies
}

type Ways = BTreeMap<(Place, Place, Provenance), u64>;

fn by_flow(ledger: &Ledger) -> BTreeMap<Flow, Ways> {
    let mut flows: BTreeMap<Flow, Ways> = BTreeMap::new();
    for (flow, traffic) in ledger {
        let copies = traffic.movements.iter().filter(|movement| movement.by == Mover::Cpu);
        let ways = flows.entry(coarse(flow, Per::Path)).or_default();
        for Movement { from, to, provenance, bytes, .. } in copies {
            *ways.entry((*from, *to, *provenance)).or_default() += bytes;
        }
    }
    flows
}

/// Divides copies of one kind among the stacks of their flow.
fn at_stacks(whole: Copies, seen: &[(&Sighting, &Weight)]) -> Vec<Copies> {
    let mut parts: Vec<Copies> = match whole.provenance {
        Provenance::Measured => measured(&whole, seen).collect(),
        Provenance::Derived => derived(&whole, seen),
    };
    let found: u64 = parts.iter().map(|part| part.bytes).sum();
    let bytes = whole.bytes.saturating_sub(found);
    if bytes > 0 {
        parts.push(Copies { bytes, ..whole });
    }
    parts
}

fn measured<'a>(
    whole: &'a Copies,
    seen: &'a [(&Sighting, &Weight)],
) -> impl Iterator<Item = Copies> + 'a {
    seen.iter().filter_map(|((_, seen, stack), weight)| match seen {
        Seen::Copy { from, to, routine } if (*from, *to) == (whole.from, whole.to) => {
            let (routine, stack) = (routine.clone(), stack.clone());
            let Weight { bytes, calls } = **weight;
            Some(Copies { routine, stack, bytes, calls, ..whole.clone() })
        }
        _ => None,
    })
}

/// By the bytes that the calls returned at each stack.
fn derived(whole: &Copies, seen: &[(&Sighting, &Weight)]) -> Vec<Copies> {
    let calls = seen.iter().filter_map(|((_, seen, stack), weight)| match seen {
        Seen::Call(name) if weight.bytes > 0 => Some((name, stack, weight.bytes)),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    let weights: Vec<u64> = calls.iter().map(|(.., bytes)| *bytes).collect();
    let shares = apportion(whole.bytes, &weights);
    let parts = calls.into_iter().zip(shares).map(|((name, stack, _), bytes)| Copies {
        routine: format!("{name}()"),
        stack: stack.clone(),
        bytes,
        ..whole.clone()
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Endpoint, Traffic,
        tests::{cpu_copy, file, flow, tcp},
    };

    fn stack(function: &str) -> Stack {
        let frame = Frame { function: function.into(), module: "kernel".into() };
        Stack { kernel: vec![frame], user: Vec::new() }
    }

    fn copied(from: Place, to: Place) -> Seen {
        Seen::Copy { from, to, routine: "_copy_to_iter".into() }
    }

    fn ledger(flow: Flow, movement: Movement) -> Ledger {
        Ledger::from([(flow, Traffic { movements: vec![movement], ..Traffic::default() })])
    }

    fn weight(bytes: u64) -> Weight {
        Weight { bytes, calls: 1 }
    }

    #[test]
    fn measured_copies_are_at_their_stacks_and_the_rest_at_none() {
        let read = flow(file("a"), Endpoint::memory());
        let way = copied(Place::PageCache, Place::User);
        let mut stacks = Stacks::new();
        add(&mut stacks, &read, way.clone(), stack("filemap_read"), weight(60));
        add(&mut stacks, &read, way, stack("shmem_file_read_iter"), weight(30));
        add(&mut stacks, &read, copied(Place::User, Place::Socket), stack("no"), weight(7));
        add(
            &mut stacks,
            &flow(file("b"), tcp(1)),
            copied(Place::PageCache, Place::User),
            stack("no"),
            weight(7),
        );
        let copies = settle(&stacks, &ledger(read, cpu_copy(Place::PageCache, Place::User, 100)));
        let bytes: Vec<_> = copies.iter().map(|it| (it.bytes, it.stack.kernel.len())).collect();
        assert_eq!(bytes, [(60, 1), (30, 1), (10, 0)]);
        assert_eq!(copies[0].routine, "_copy_to_iter");
    }

    #[test]
    fn derived_copies_are_shared_by_what_the_calls_returned() {
        let read = flow(file("a"), Endpoint::memory());
        let mut stacks = Stacks::new();
        let call = |name: &str| Seen::Call(name.into());
        add(&mut stacks, &read, call("read"), stack("one"), weight(30));
        add(&mut stacks, &read, call("pread64"), stack("two"), weight(10));
        let movement = Movement {
            provenance: Provenance::Derived,
            ..cpu_copy(Place::PageCache, Place::User, 20)
        };
        let copies = settle(&stacks, &ledger(read, movement));
        let shares: Vec<_> = copies.iter().map(|it| (it.routine.as_str(), it.bytes)).collect();
        assert_eq!(shares, [("read()", 15), ("pread64()", 5)]);
    }

    #[test]
    fn without_stacks_all_copies_are_there_still() {
        let read = flow(file("a"), Endpoint::memory());
        let movement = cpu_copy(Place::PageCache, Place::User, 100);
        let copies = settle(&Stacks::new(), &ledger(read, movement));
        assert_eq!((copies.len(), copies[0].bytes), (1, 100));
    }

    #[test]
    fn connections_of_a_server_and_functions_of_programs_can_be_given_up() {
        let mut stacks = Stacks::new();
        for (port, function) in [(1, "a"), (2, "b")] {
            let user = vec![Frame { function: function.into(), module: "server".into() }];
            let at = Stack { user, ..stack("tcp_sendmsg_locked") };
            let way = copied(Place::User, Place::Socket);
            add(&mut stacks, &flow(file("a"), tcp(port)), way, at, weight(1));
        }
        assert_eq!(stacks.len(), 2);
        let fewer = without_programs(stacks);
        assert_eq!(fewer.into_values().collect::<Vec<_>>(), [Weight { bytes: 2, calls: 2 }]);
    }
}
