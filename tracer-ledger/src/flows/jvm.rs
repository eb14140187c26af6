//! What a Java virtual machine copies in its own memory. It makes no call for that, so that it belongs to no
//! flow: it is its process's, and is held against all that the process delivers.

use std::collections::BTreeMap;

use super::{
    Flow, Kind, Ledger, Process,
    group::{Per, coarse},
};
use crate::Movement;

/// The stub of HotSpot that copies for `Unsafe.copyMemory`.
pub const STUB: &str = "unsafe_arraycopy";
/// Who sees it copy.
pub const WITNESS: &str = "HotSpot's unsafe_arraycopy stub";

/// Whether a movement is such copies.
pub fn is_inside(movement: &Movement) -> bool {
    movement.witness == WITNESS
}

/// Copies inside the virtual machines of alike processes, or on one of their threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Whose.
    pub process: Process,
    /// Bytes copied.
    pub bytes: u64,
    /// How often.
    pub calls: u64,
    /// What the processes delivered, all threads, in bytes; what they read if that is nothing.
    pub payload_bytes: u64,
}

/// Those of a ledger that is settled, as fine as `per` tells processes and threads apart: the most bytes first.
pub fn copies(ledger: &Ledger, per: Per) -> Vec<Copies> {
    let mut all: BTreeMap<Process, Copies> = BTreeMap::new();
    for (flow, traffic) in ledger {
        for movement in traffic.movements.iter().filter(|movement| is_inside(movement)) {
            let process = coarse(flow, per).process;
            let copies = all.entry(process).or_default();
            copies.bytes += movement.bytes;
            copies.calls += movement.calls;
        }
    }
    let mut all: Vec<Copies> = all
        .into_iter()
        .map(|(process, copies)| Copies {
            payload_bytes: delivered(ledger, &process),
            process,
            ..copies
        })
        .collect();
    all.sort_by_key(|copies| std::cmp::Reverse(copies.bytes));
    all
}

fn delivered(ledger: &Ledger, by: &Process) -> u64 {
    let is_of = |flow: &&Flow| match by.pid {
        Some(pid) => flow.process.pid == Some(pid),
        None => flow.process.name == by.name,
    };
    let payload = |is_wanted: &dyn Fn(Kind) -> bool| -> u64 {
        let own = ledger.iter().filter(|(flow, _)| is_of(flow) && flow.is_data());
        let wanted = own.filter(|(flow, _)| is_wanted(flow.destination.kind));
        wanted.map(|(_, traffic)| traffic.payload_bytes).sum()
    };
    match payload(&|kind| kind != Kind::Memory) {
        0 => payload(&|_| true),
        delivered => delivered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Place,
        flows::{
            Endpoint, Traffic,
            tests::{cpu_copy, file, flow, tcp},
        },
    };

    fn inside(bytes: u64) -> Traffic {
        let movement =
            Movement { witness: WITNESS.into(), ..cpu_copy(Place::User, Place::User, bytes) };
        Traffic { movements: vec![movement], ..Traffic::default() }
    }

    fn sent(payload_bytes: u64) -> Traffic {
        Traffic { payload_bytes, ..Traffic::default() }
    }

    fn on_thread(flow: Flow, thread: u32) -> Flow {
        let process =
            Process { name: format!("thread-{thread}"), thread: Some(thread), ..flow.process };
        Flow { process, ..flow }
    }

    fn ledger() -> Ledger {
        let memory = || flow(Endpoint::memory(), Endpoint::memory());
        let mut other = memory();
        other.process = Process { name: "other".into(), pid: Some(8), thread: None };
        let mut others_file = flow(file("/a"), Endpoint::memory());
        others_file.process = other.process.clone();
        Ledger::from([
            (on_thread(memory(), 71), inside(100)),
            (on_thread(memory(), 72), inside(300)),
            (on_thread(flow(Endpoint::memory(), tcp(1)), 73), sent(200)),
            (on_thread(flow(file("/a"), Endpoint::memory()), 73), sent(50)),
            (other, inside(5)),
            (others_file, sent(20)),
        ])
    }

    #[test]
    fn threads_share_what_their_process_delivers() {
        let found = copies(&ledger(), Per::Thread);
        let told: Vec<_> =
            found.iter().map(|it| (it.process.thread, it.bytes, it.payload_bytes)).collect();
        assert_eq!(told, [(Some(72), 300, 200), (Some(71), 100, 200), (None, 5, 20)]);
    }

    #[test]
    fn copies_of_other_witnesses_are_none() {
        let between = Traffic {
            movements: vec![cpu_copy(Place::User, Place::User, 7)],
            ..Traffic::default()
        };
        let memory = flow(Endpoint::memory(), Endpoint::memory());
        assert_eq!(copies(&Ledger::from([(memory, between)]), Per::Path), []);
    }
}
