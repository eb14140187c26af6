//! What no witness of this kernel sees, derived from what system calls returned.

use serde::{Deserialize, Serialize};

use super::{Endpoint, Flow, Kind, Ledger, Traffic};
use crate::ledger::{Movement, Mover, Place, Provenance, Side};

/// What of the bytes' ways was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// CPU copies were seen at the calls to the copy routines.
    pub copies: bool,
    /// Pages that change hands were seen.
    pub references: bool,
}

/// Adds the movements that were not measured, each marked as derived.
pub fn derive(ledger: &mut Ledger, witnesses: Witnesses) {
    for (flow, traffic) in ledger.iter_mut().filter(|(flow, _)| flow.is_data()) {
        let Some(source) = &flow.source else { continue };
        for movement in derived(source, flow, traffic) {
            // What a device does with bytes is its own: /dev/null takes them without a copy.
            if [source.kind, flow.destination.kind].contains(&Kind::Other)
                && [movement.from, movement.to].contains(&Kind::Other.place())
            {
                continue;
            }
            let seen = match movement.by {
                Mover::Cpu => witnesses.copies,
                _ => witnesses.references,
            };
            if !seen && movement.bytes > 0 {
                traffic.movements.push(movement);
            }
        }
    }
}

/// The calls that move bytes without a buffer of the program.
const PASSES: [&str; 4] = ["sendfile", "splice", "tee", "copy_file_range"];

fn derived(source: &Endpoint, flow: &Flow, traffic: &Traffic) -> Vec<Movement> {
    let destination = flow.destination.kind;
    let passed: u64 =
        PASSES.iter().filter_map(|name| traffic.calls.get(*name)).map(|calls| calls.bytes).sum();
    let copied = traffic.payload_bytes.saturating_sub(passed);
    let by_reference = traffic.zero_copy_bytes.min(copied);
    let from_mapping = traffic.mapped_bytes.min(copied - by_reference);
    let own = copied - by_reference - from_mapping;
    let mut movements = vec![passing(source.kind, destination, passed)];
    if destination == Kind::Memory {
        let own = own.saturating_sub(seen_arriving(traffic));
        movements.push(movement(source.kind.place(), Place::User, Mover::Cpu, own));
    } else {
        let to = destination.place();
        movements.push(movement(Place::User, to, Mover::Cpu, own));
        movements.push(movement(Place::PageCache, to, Mover::Cpu, from_mapping));
        movements.push(movement(Place::User, to, Mover::Reference, by_reference));
    }
    movements
}

/// What came into the program's memory by a way that every kernel shows: a device wrote what was
/// read past the page cache, and a tracepoint sees what is copied out of packets.
fn seen_arriving(traffic: &Traffic) -> u64 {
    let seen = traffic.movements.iter().filter(|movement| {
        movement.to == Place::User && matches!(movement.from, Place::Disk | Place::Socket)
    });
    seen.map(|movement| movement.bytes).sum()
}

/// Pages go from files into pipes and sockets; a file takes none, but a copy.
fn passing(source: Kind, destination: Kind, bytes: u64) -> Movement {
    let by = match (source, destination) {
        (_, Kind::File) => Mover::Cpu,
        _ => Mover::Reference,
    };
    movement(source.place(), destination.place(), by, bytes)
}

fn movement(from: Place, to: Place, by: Mover, bytes: u64) -> Movement {
    Movement {
        from,
        to,
        by,
        side: Side::Sender,
        provenance: Provenance::Derived,
        witness: "return values of system calls".to_owned(),
        bytes,
        calls: 0,
        verified_bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Calls,
        tests::{file, flow, tcp},
    };

    const NOTHING: Witnesses = Witnesses { copies: false, references: false };

    fn ways(flow: Flow, traffic: Traffic, witnesses: Witnesses) -> Vec<(Place, Place, Mover, u64)> {
        let mut ledger = Ledger::from([(flow, traffic)]);
        derive(&mut ledger, witnesses);
        let movements = ledger.into_values().flat_map(|traffic| traffic.movements);
        movements
            .inspect(|movement| assert_eq!(movement.provenance, Provenance::Derived))
            .map(|movement| (movement.from, movement.to, movement.by, movement.bytes))
            .collect()
    }

    fn called(name: &str, bytes: u64) -> Traffic {
        let calls = [(name.to_owned(), Calls { count: 1, bytes })].into();
        Traffic { payload_bytes: bytes, calls, ..Traffic::default() }
    }

    #[test]
    fn a_read_copies_out_of_the_source_and_a_write_into_the_destination() {
        let read = flow(file("a"), Endpoint::memory());
        let copied = [(Place::PageCache, Place::User, Mover::Cpu, 9)];
        assert_eq!(ways(read.clone(), called("read", 9), NOTHING), copied);
        let seen = Witnesses { copies: true, references: true };
        assert_eq!(ways(read, called("read", 9), seen), []);
        let write = flow(Endpoint::memory(), tcp(1));
        let copied = [(Place::User, Place::Socket, Mover::Cpu, 9)];
        assert_eq!(ways(write, called("write", 9), NOTHING), copied);
    }

    #[test]
    fn sendfile_to_a_socket_copies_nothing_and_to_a_file_it_does() {
        let sent = ways(flow(file("a"), tcp(1)), called("sendfile", 9), NOTHING);
        assert_eq!(sent, [(Place::PageCache, Place::Socket, Mover::Reference, 9)]);
        let copied = ways(flow(file("a"), file("b")), called("sendfile", 9), NOTHING);
        assert_eq!(copied, [(Place::PageCache, Place::PageCache, Mover::Cpu, 9)]);
    }

    #[test]
    fn what_a_tracepoint_saw_is_not_derived_again() {
        let seen = Movement {
            provenance: Provenance::Derived,
            ..movement(Place::Socket, Place::User, Mover::Cpu, 9)
        };
        let traffic = Traffic { movements: vec![seen], ..called("recvfrom", 9) };
        let received = ways(flow(tcp(1), Endpoint::memory()), traffic, NOTHING);
        assert_eq!(received, [(Place::Socket, Place::User, Mover::Cpu, 9)]);
    }

    #[test]
    fn nothing_is_said_of_what_a_device_does() {
        let null = || Endpoint::new(Kind::Other, "/dev/null");
        assert_eq!(ways(flow(Endpoint::memory(), null()), called("write", 9), NOTHING), []);
        assert_eq!(ways(flow(null(), Endpoint::memory()), called("read", 9), NOTHING), []);
    }

    #[test]
    fn what_a_device_wrote_into_the_program_was_not_copied() {
        let direct = Movement {
            provenance: Provenance::Derived,
            ..movement(Place::Disk, Place::User, Mover::Dma, 9)
        };
        let traffic = Traffic { movements: vec![direct], ..called("read", 9) };
        let read = flow(file("a"), Endpoint::memory());
        assert_eq!(ways(read, traffic, NOTHING), [(Place::Disk, Place::User, Mover::Dma, 9)]);
    }
}
