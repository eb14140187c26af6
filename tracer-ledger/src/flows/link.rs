//! Reading a file into a buffer and writing the buffer to a socket is one flow, from the file to
//! the socket, with the copies of both calls.

use std::collections::BTreeMap;

use super::{Endpoint, Flow, Kind, Ledger, Process, Traffic, add};

/// Bytes read from one object by one process, and then written on.
type Readers = BTreeMap<(Process, Endpoint), Vec<(Flow, u64)>>;

/// Moves bytes that were read from an object and then written from the same memory to the flow that wrote
/// them. Bytes written more than once are shared by all writers; bytes not written on stay where they
/// were.
pub fn link(ledger: Ledger) -> Ledger {
    let mut linked = ledger.clone();
    for ((process, source), writers) in written_on(&ledger) {
        let reading = Flow { process, source: Some(source), destination: Endpoint::memory() };
        let Some(read) = linked.remove(&reading) else { continue };
        let moved = give(&mut linked, &read, writers);
        let rest =
            Traffic { payload_bytes: read.payload_bytes - moved.payload_bytes, ..moved.rest };
        if rest != Traffic::default() {
            add(&mut linked, reading, &rest);
        }
    }
    linked
}

fn written_on(ledger: &Ledger) -> Readers {
    let mut readers = Readers::new();
    for (flow, traffic) in ledger {
        if let Some(source) = &flow.source
            && traffic.linked_bytes > 0
            && flow.destination.kind != Kind::Memory
        {
            let reader = (flow.process.clone(), source.clone());
            readers.entry(reader).or_default().push((flow.clone(), traffic.linked_bytes));
        }
    }
    readers
}

struct Moved {
    payload_bytes: u64,
    rest: Traffic,
}

/// Gives each writer its share of the read, except for the payload: it arrived once.
fn give(ledger: &mut Ledger, read: &Traffic, writers: Vec<(Flow, u64)>) -> Moved {
    let written: u64 = writers.iter().map(|(_, bytes)| bytes).sum();
    let kept = read.payload_bytes.saturating_sub(written);
    let weights: Vec<u64> = writers.iter().map(|(_, bytes)| *bytes).chain([kept]).collect();
    let mut parts = read.split(&weights);
    let rest = parts.pop().unwrap_or_default();
    for ((flow, _), part) in writers.into_iter().zip(parts) {
        add(ledger, flow, &Traffic { payload_bytes: 0, ..part });
    }
    Moved { payload_bytes: read.payload_bytes - kept, rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use crate::flows::tests::{cpu_copy, file, flow, tcp, total_cpu};

    fn read(bytes: u64) -> Traffic {
        Traffic {
            payload_bytes: bytes,
            movements: vec![cpu_copy(Place::PageCache, Place::User, bytes)],
            ..Traffic::default()
        }
    }

    fn written(bytes: u64) -> Traffic {
        Traffic {
            payload_bytes: bytes,
            linked_bytes: bytes,
            movements: vec![cpu_copy(Place::User, Place::Socket, bytes)],
            ..Traffic::default()
        }
    }

    #[test]
    fn what_is_read_and_sent_is_one_flow_of_two_copies() {
        let ledger = Ledger::from([
            (flow(file("a"), Endpoint::memory()), read(100)),
            (flow(file("a"), tcp(1)), written(100)),
        ]);
        let linked = link(ledger);
        assert_eq!(linked.len(), 1);
        let traffic = &linked[&flow(file("a"), tcp(1))];
        assert_eq!((traffic.payload_bytes, total_cpu(traffic)), (100, 200));
    }

    #[test]
    fn what_is_read_for_the_program_alone_stays_so() {
        let ledger = Ledger::from([
            (flow(file("a"), Endpoint::memory()), read(100)),
            (flow(file("a"), tcp(1)), written(25)),
        ]);
        let linked = link(ledger);
        let kept = &linked[&flow(file("a"), Endpoint::memory())];
        assert_eq!((kept.payload_bytes, total_cpu(kept)), (75, 75));
        assert_eq!(total_cpu(&linked[&flow(file("a"), tcp(1))]), 50);
    }

    #[test]
    fn what_is_sent_twice_was_read_once() {
        let ledger = Ledger::from([
            (flow(file("a"), Endpoint::memory()), read(100)),
            (flow(file("a"), tcp(1)), written(100)),
            (flow(file("a"), tcp(2)), written(100)),
        ]);
        let linked = link(ledger);
        assert_eq!(linked.len(), 2);
        for traffic in linked.values() {
            assert_eq!((traffic.payload_bytes, total_cpu(traffic)), (100, 150));
        }
    }
}
