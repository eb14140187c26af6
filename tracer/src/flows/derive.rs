//! What no witness of this kernel sees, derived from what system calls returned.

use serde::{Deserialize, Serialize};

use super::{Endpoint, Kind, Ledger, Traffic};
use crate::ledger::{Movement, Mover, Place, Provenance, Side};

/// What of the bytes' ways was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// CPU copies were seen at the calls to the copy routines.
    pub copies: bool,
    /// Pages that change hands were seen.
    pub references: bool,
}

/// Adds the movements that were not measured, each marked as derived: only where every byte of a call goes one
/// way, whatever the kernel. The rest stays unseen.
pub fn derive(ledger: &mut Ledger, witnesses: Witnesses) {
    for (flow, traffic) in ledger.iter_mut().filter(|(flow, _)| flow.is_data()) {
        let Some(source) = &flow.source else { continue };
        for movement in derived(source, &flow.destination, traffic) {
            let seen = match movement.by {
                Mover::Cpu => witnesses.copies,
                // No function of the kernel that passes the program's pages into a pipe is probed.
                Mover::Reference if movement.to == Place::Pipe && movement.from == Place::User => {
                    false
                }
                _ => witnesses.references,
            };
            if !seen && movement.bytes > 0 {
                traffic.movements.push(movement);
            }
        }
    }
}

/// The calls that move bytes without a buffer of the program.
const PASSES: [&str; 3] = ["sendfile", "splice", "tee"];
/// The one that may have two files share their blocks.
const COPIES_FILES: &str = "copy_file_range";
/// The one that passes the program's own pages into a pipe.
const GIVES_PAGES: &str = "vmsplice";

fn derived(source: &Endpoint, destination: &Endpoint, traffic: &Traffic) -> Vec<Movement> {
    let called = |name: &str| traffic.calls.get(name).map_or(0, |calls| calls.bytes);
    let passed: u64 = PASSES.iter().map(|name| called(name)).sum();
    let copied_files = called(COPIES_FILES);
    let mut left = traffic.payload_bytes.saturating_sub(passed + copied_files);
    let mut take = |bytes: u64| {
        let taken = bytes.min(left);
        left -= taken;
        taken
    };
    let mut movements = Vec::new();
    if let Some(by) = passing(source, destination) {
        movements.push(movement(source.place(), destination.place(), by, passed));
    }
    let are_one = source.medium.shares_blocks() || destination.medium.shares_blocks();
    if !are_one && source.kind == Kind::File && destination.kind == Kind::File {
        movements.push(movement(source.place(), destination.place(), Mover::Cpu, copied_files));
    }
    if destination.kind == Kind::Memory {
        let own = take(u64::MAX).saturating_sub(seen_arriving(traffic));
        if !source.is_device() {
            movements.push(movement(source.place(), Place::User, Mover::Cpu, own));
        }
        return movements;
    }
    let to = destination.place();
    let given = take(if destination.kind == Kind::Pipe { called(GIVES_PAGES) } else { 0 });
    movements.push(movement(Place::User, to, Mover::Reference, given));
    let by_reference = take(traffic.zero_copy_bytes);
    let from_mapping = take(traffic.mapped_bytes);
    take(traffic.direct_bytes);
    let own = take(u64::MAX);
    if !destination.is_device() {
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

/// What moves bytes from the one to the other without the program's memory. Pages go from the page cache,
/// from pipes and from sockets into pipes and plain sockets; a file takes none, but a copy. Of other
/// sockets and files it depends on what they are.
fn passing(source: &Endpoint, destination: &Endpoint) -> Option<Mover> {
    let has_pages = match source.kind {
        Kind::File => source.medium.has_pages(),
        Kind::Pipe | Kind::Tcp | Kind::Unix => source.medium.is_usual(),
        Kind::Udp | Kind::Memory | Kind::Other => false,
    };
    match destination.kind {
        Kind::Tcp | Kind::Unix | Kind::Pipe if has_pages && destination.medium.is_usual() => {
            Some(Mover::Reference)
        }
        Kind::File if has_pages => Some(Mover::Cpu),
        _ => None,
    }
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
        Calls, Flow,
        medium::Medium,
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
    fn where_it_depends_nothing_is_derived() {
        let on = |medium: Medium, end: Endpoint| Endpoint { medium, ..end };
        let (proc, mptcp) = (Medium::FileSystem(0x9fa0), Medium::Protocol(2, 262));
        let btrfs = Medium::FileSystem(0x9123_683e);
        for (source, destination, call) in [
            (file("a"), on(mptcp, tcp(1)), "sendfile"),
            (on(proc, file("a")), tcp(1), "sendfile"),
            (on(btrfs, file("a")), on(btrfs, file("b")), "copy_file_range"),
        ] {
            assert_eq!(ways(flow(source, destination), called(call, 9), NOTHING), []);
        }
        let read = ways(flow(on(proc, file("a")), Endpoint::memory()), called("read", 9), NOTHING);
        assert_eq!(read, [(Place::Kernel, Place::User, Mover::Cpu, 9)]);
        let past = Traffic { direct_bytes: 9, ..called("write", 9) };
        assert_eq!(ways(flow(Endpoint::memory(), file("a")), past, NOTHING), []);
    }

    #[test]
    fn a_pipe_is_given_pages_on_every_kernel() {
        let pipe = || Endpoint::new(Kind::Pipe, "pipe:[1]");
        let seen = Witnesses { copies: true, references: true };
        let given = ways(flow(Endpoint::memory(), pipe()), called("vmsplice", 9), seen);
        assert_eq!(given, [(Place::User, Place::Pipe, Mover::Reference, 9)]);
        let taken = ways(flow(pipe(), Endpoint::memory()), called("vmsplice", 9), NOTHING);
        assert_eq!(taken, [(Place::Pipe, Place::User, Mover::Cpu, 9)]);
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
