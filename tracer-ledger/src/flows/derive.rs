//! Movements that no witness of this kernel sees, derived from the return values of system calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Flow, Kind, Ledger, Traffic};
use crate::{Movement, Mover, Place, Provenance, Side};

/// The witnesses: the ways of the bytes that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// CPU copies are seen, at the calls to the copy routines.
    pub copies: bool,
    /// Pages moved by reference are seen, and copies of packets.
    pub references: bool,
}

impl Witnesses {
    /// Whether they see such a movement.
    fn see(self, movement: &Movement) -> bool {
        match (movement.from, movement.to, movement.by) {
            (Place::Socket, Place::Kernel, Mover::Cpu) => self.references,
            (.., Mover::Cpu) => self.copies,
            // The kernel's functions that pass a program's pages into a pipe, or map those of a socket,
            // are not probed.
            (Place::User, Place::Pipe, _) | (Place::Socket, Place::User, _) => false,
            _ => self.references,
        }
    }
}

/// Adds the movements that were not measured, each marked as derived. Only calls whose bytes all go one
/// way on every kernel are derived; the rest stays unseen.
pub fn derive(ledger: &mut Ledger, witnesses: Witnesses) {
    let pipes = pages_in_pipes(ledger);
    for (flow, traffic) in ledger.iter_mut() {
        let mut derived = derived(flow, traffic, &pipes);
        derived.retain(|movement| movement.bytes > 0 && !witnesses.see(movement));
        traffic.movements.append(&mut derived);
    }
}

/// The calls that move bytes without a buffer of the program.
const PASSES: [&str; 3] = ["sendfile", "splice", "tee"];
/// The call that may have two files share their blocks.
pub(super) const COPIES_FILES: &str = "copy_file_range";
/// The call that passes the program's own pages into a pipe.
const GIVES_PAGES: &str = "vmsplice";
/// The call that maps a socket's pages: with `TCP_ZEROCOPY_RECEIVE` it has a number of bytes.
const MAPS_PAGES: &str = "getsockopt";
/// The calls that copy from a process's memory to another one's.
pub const BETWEEN: [&str; 2] = ["process_vm_readv", "process_vm_writev"];

/// The owner of the pages in a pipe, if all of them are of one kind.
type Pipes = BTreeMap<Endpoint, Place>;

fn pages_in_pipes(ledger: &Ledger) -> Pipes {
    let mut pipes = Pipes::new();
    for (flow, traffic) in ledger.iter().filter(|(flow, _)| flow.destination.kind == Kind::Pipe) {
        let whose = match &flow.source {
            Some(source) if source.kind == Kind::File => source.place(),
            Some(source) if source.kind == Kind::Memory => {
                let given = Returned::by(traffic, |name| name == GIVES_PAGES);
                if given.bytes == traffic.payload_bytes { Place::User } else { Place::Pipe }
            }
            _ => Place::Pipe,
        };
        let known = pipes.entry(flow.destination.clone()).or_insert(whose);
        if *known != whose {
            *known = Place::Pipe;
        }
    }
    pipes
}

/// The return values of some system calls of a flow.
struct Returned {
    bytes: u64,
    calls: u64,
    names: Vec<String>,
    /// Bytes that are not in a movement yet.
    left: u64,
}

impl Returned {
    fn by(traffic: &Traffic, is_wanted: impl Fn(&str) -> bool) -> Self {
        let wanted = traffic.calls.iter().filter(|(name, _)| is_wanted(name));
        let mut returned = Self { bytes: 0, calls: 0, names: Vec::new(), left: 0 };
        for (name, calls) in wanted.filter(|(_, calls)| calls.bytes > 0) {
            returned.bytes += calls.bytes;
            returned.calls += calls.count;
            returned.names.push(format!("return value of {name}()"));
        }
        returned.left = returned.bytes;
        returned
    }

    /// Takes up to `bytes` of the rest.
    fn take(&mut self, bytes: u64) -> u64 {
        let taken = bytes.min(self.left);
        self.left -= taken;
        taken
    }

    /// A movement of some of the bytes.
    fn movement(&self, from: Place, to: Place, by: Mover, bytes: u64) -> Movement {
        let calls = u128::from(self.calls) * u128::from(bytes) / u128::from(self.bytes.max(1));
        Movement {
            from,
            to,
            by,
            side: Side::Sender,
            provenance: Provenance::Derived,
            witness: self.names.join(", "),
            bytes,
            calls: u64::try_from(calls).unwrap_or(u64::MAX),
            verified_bytes: None,
        }
    }
}

fn derived(flow: &Flow, traffic: &Traffic, pipes: &Pipes) -> Vec<Movement> {
    let mut movements = vec![linearised(&flow.destination, traffic)];
    if !flow.is_data() {
        let between = Returned::by(traffic, |name| BETWEEN.contains(&name));
        movements.push(between.movement(Place::User, Place::User, Mover::Cpu, between.bytes));
    } else if let Some(source) = &flow.source {
        movements.extend(passed(source, &flow.destination, traffic, pipes));
        movements.extend(copied_files(source, &flow.destination, traffic));
        movements.extend(match flow.destination.kind {
            Kind::Memory => read(source, traffic),
            _ => written(&flow.destination, traffic),
        });
    }
    movements
}

/// TCP keeps payload in pages, so payload in the linear part of a packet at a device was copied there. A
/// datagram's payload may be copied into the linear part at once.
fn linearised(destination: &Endpoint, traffic: &Traffic) -> Movement {
    let is_tcp = destination.kind == Kind::Tcp;
    Movement {
        from: Place::Socket,
        to: Place::Kernel,
        by: Mover::Cpu,
        side: Side::Sender,
        provenance: Provenance::Derived,
        witness: "linear part of packets at net:net_dev_start_xmit".to_owned(),
        bytes: if is_tcp { traffic.linear_bytes } else { 0 },
        calls: if is_tcp { traffic.linear_packets } else { 0 },
        verified_bytes: None,
    }
}

/// Bytes that went from one to the other without the program's memory.
fn passed(
    source: &Endpoint,
    destination: &Endpoint,
    traffic: &Traffic,
    pipes: &Pipes,
) -> Option<Movement> {
    let by = passing(source, destination)?;
    let mut passed = Returned::by(traffic, |name| PASSES.contains(&name));
    passed.take(traffic.upper_bytes);
    let from = match by {
        Mover::Reference => pipes.get(source).copied().unwrap_or(source.place()),
        _ => source.place(),
    };
    Some(passed.movement(from, destination.place(), by, passed.left))
}

/// Bytes that the kernel copied from a file to another one, unless they may share blocks.
fn copied_files(source: &Endpoint, destination: &Endpoint, traffic: &Traffic) -> Option<Movement> {
    let are_files = source.kind == Kind::File && destination.kind == Kind::File;
    let may_share = source.medium.shares_blocks() || destination.medium.shares_blocks();
    let copied = Returned::by(traffic, |name| name == COPIES_FILES);
    (are_files && !may_share)
        .then(|| copied.movement(source.place(), destination.place(), Mover::Cpu, copied.bytes))
}

/// Bytes that came into the program's memory.
fn read(source: &Endpoint, traffic: &Traffic) -> Vec<Movement> {
    let is_read =
        |name: &str| !PASSES.contains(&name) && ![COPIES_FILES, MAPS_PAGES].contains(&name);
    let mapped = Returned::by(traffic, |name| name == MAPS_PAGES);
    let mut read = Returned::by(traffic, is_read);
    read.take(seen_arriving(traffic));
    let mut movements =
        vec![mapped.movement(source.place(), Place::User, Mover::Reference, mapped.bytes)];
    if !source.is_device() {
        movements.push(read.movement(source.place(), Place::User, Mover::Cpu, read.left));
    }
    movements
}

/// Bytes that came into the program's memory by a way that every kernel shows: a device wrote those read
/// past the page cache, and a tracepoint sees those copied from packets.
fn seen_arriving(traffic: &Traffic) -> u64 {
    let seen = traffic.movements.iter().filter(|movement| {
        movement.to == Place::User && matches!(movement.from, Place::Disk | Place::Socket)
    });
    seen.map(|movement| movement.bytes).sum()
}

/// Bytes that left the program's memory, or its mappings.
fn written(destination: &Endpoint, traffic: &Traffic) -> Vec<Movement> {
    let to = destination.place();
    let gives_pages = |name: &str| name == GIVES_PAGES && destination.kind == Kind::Pipe;
    let given = Returned::by(traffic, gives_pages);
    let mut written = Returned::by(traffic, |name| {
        !PASSES.contains(&name) && name != COPIES_FILES && !gives_pages(name)
    });
    let mut movements = vec![given.movement(Place::User, to, Mover::Reference, given.bytes)];
    // A protocol above TCP, or a device, may copy its input or not.
    written.take(traffic.upper_bytes + traffic.direct_bytes);
    if !destination.is_device() {
        let mut by_reference = written.take(traffic.zero_copy_bytes);
        if destination.kind == Kind::Udp {
            // Some kernels copy the beginning of each datagram all the same.
            by_reference = 0;
        }
        let from_mapping = written.take(traffic.mapped_bytes);
        movements.extend([
            written.movement(Place::User, to, Mover::Cpu, written.left),
            written.movement(Place::PageCache, to, Mover::Cpu, from_mapping),
            written.movement(Place::User, to, Mover::Reference, by_reference),
        ]);
    }
    movements
}

/// The mover of bytes from one to the other without the program's memory. Pages go from the page cache,
/// from pipes and from sockets into pipes and plain sockets; into a file they are copied. For other
/// sockets and files it depends on the medium.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Calls, Flow,
        medium::Medium,
        tests::{cpu_copy, file, flow, late, tcp},
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
    fn a_pipe_passes_on_the_pages_it_was_given() {
        let pipe = || Endpoint::new(Kind::Pipe, "pipe:[1]");
        let passed = |given: Vec<(Flow, Traffic)>| {
            let mut ledger = Ledger::from_iter(given);
            ledger.insert(flow(pipe(), tcp(1)), called("splice", 9));
            derive(&mut ledger, NOTHING);
            ledger[&flow(pipe(), tcp(1))].movements[0].from
        };
        let file = || (flow(file("a"), pipe()), called("splice", 9));
        let memory = |call| (flow(Endpoint::memory(), pipe()), called(call, 9));
        assert_eq!(passed(vec![file()]), Place::PageCache);
        assert_eq!(passed(vec![memory("vmsplice")]), Place::User);
        assert_eq!(passed(vec![memory("write")]), Place::Pipe);
        assert_eq!(passed(vec![file(), memory("vmsplice")]), Place::Pipe);
        assert_eq!(passed(vec![]), Place::Pipe);
    }

    #[test]
    fn what_goes_through_a_protocol_above_tcp_is_not_derived() {
        let above = |call| Traffic { upper_bytes: 9, ..called(call, 9) };
        assert_eq!(ways(flow(Endpoint::memory(), tcp(1)), above("write"), NOTHING), []);
        assert_eq!(ways(flow(file("a"), tcp(1)), above("sendfile"), NOTHING), []);
    }

    #[test]
    fn pages_that_a_socket_maps_are_not_copied() {
        let calls = [("getsockopt", 8), ("recvfrom", 1)];
        let calls = calls.map(|(name, bytes)| (name.to_owned(), Calls { count: 1, bytes }));
        let traffic = Traffic { payload_bytes: 9, calls: calls.into(), ..Traffic::default() };
        let received = flow(tcp(1), Endpoint::memory());
        let mapped = (Place::Socket, Place::User, Mover::Reference, 8);
        let copied = (Place::Socket, Place::User, Mover::Cpu, 1);
        assert_eq!(ways(received.clone(), traffic.clone(), NOTHING), [mapped, copied]);
        let seen = Witnesses { copies: true, references: true };
        assert_eq!(ways(received, traffic, seen), [mapped]);
    }

    #[test]
    fn a_process_copies_from_anothers_memory() {
        let own = || flow(Endpoint::memory(), Endpoint::memory());
        let traffic = Traffic { payload_bytes: 0, ..called("process_vm_readv", 9) };
        let copied = [(Place::User, Place::User, Mover::Cpu, 9)];
        assert_eq!(ways(own(), traffic, NOTHING), copied);
        assert_eq!(ways(own(), called("futex", 9), NOTHING), []);
    }

    #[test]
    fn payload_in_the_linear_part_of_a_packet_was_copied_there() {
        let linear = |destination| {
            let traffic = Traffic { linear_bytes: 9, linear_packets: 1, ..Traffic::default() };
            ways(late(destination), traffic, NOTHING)
        };
        assert_eq!(linear(tcp(1)), [(Place::Socket, Place::Kernel, Mover::Cpu, 9)]);
        assert_eq!(linear(Endpoint::new(Kind::Udp, "a datagram's")), []);
    }

    #[test]
    fn memory_that_is_sent_by_reference_is_not_copied_wherever_it_was_filled() {
        let sent = Traffic { zero_copy_bytes: 9, linked_bytes: 9, ..called("sendto", 9) };
        let by_reference = [(Place::User, Place::Socket, Mover::Reference, 9)];
        assert_eq!(ways(flow(file("a"), tcp(1)), sent.clone(), NOTHING), by_reference);
        let datagrams = Endpoint::new(Kind::Udp, "a datagram's");
        assert_eq!(ways(flow(file("a"), datagrams), sent, NOTHING), []);
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
        let provenance = Provenance::Derived;
        let seen = Movement { provenance, ..cpu_copy(Place::Socket, Place::User, 9) };
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
        let (by, provenance) = (Mover::Dma, Provenance::Derived);
        let direct = Movement { by, provenance, ..cpu_copy(Place::Disk, Place::User, 9) };
        let traffic = Traffic { movements: vec![direct], ..called("read", 9) };
        let read = flow(file("a"), Endpoint::memory());
        assert_eq!(ways(read, traffic, NOTHING), [(Place::Disk, Place::User, Mover::Dma, 9)]);
    }
}
