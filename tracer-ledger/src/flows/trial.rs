//! A strategy's window: the trial, and the flows of its two processes, as one observation.

use std::collections::BTreeSet;

use super::{
    Ledger, Traffic,
    derive::{COPIES_FILES, Witnesses, derive},
};
use crate::{
    Movement, Mover, Observation, Place, Provenance, Side, ZeroCopy, merge,
    workload::{CheckedBy, Route},
};

/// The payload, known to have arrived.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The strategy's name.
    pub strategy: String,
    /// The kinds of source and destination.
    pub route: Route,
    /// As in [`Observation::call_order`].
    pub call_order: Vec<String>,
    /// The side that was measured.
    pub side: Side,
    /// The processes of the other side, by their ids for users.
    pub others: BTreeSet<u32>,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// The number of messages.
    pub messages: u64,
    /// Payload bytes of all of them.
    pub bytes: u64,
    /// The kernel's notifications of the program's zero-copy sends.
    pub zero_copy: Option<ZeroCopy>,
    /// Payload bytes that two files share on the disk, so that they did not move.
    pub shared_bytes: u64,
    /// The method by which the received bytes were checked.
    pub checked_by: CheckedBy,
}

/// Makes the observation of a trial from the ledger of its window.
pub fn observe(
    trial: Trial,
    ledger: Ledger,
    witnesses: Witnesses,
    lost_events: u64,
) -> Observation {
    let mut ledger = ledger;
    derive(&mut ledger, witnesses);
    let other = match trial.side {
        Side::Sender => Side::Receiver,
        Side::Receiver => Side::Sender,
    };
    let mut own = Traffic::default();
    let mut movements = Vec::new();
    for (flow, traffic) in ledger {
        let is_others = flow.process.pid.is_some_and(|pid| trial.others.contains(&pid));
        let side = if is_others { other } else { trial.side };
        movements.extend(traffic.movements.iter().map(|it| Movement { side, ..it.clone() }));
        if !is_others {
            own.add(&traffic);
        }
    }
    let mut told = operations(trial.route, &own);
    told.retain(|movement| !witnesses.copies || movement.by != Mover::Cpu);
    told.retain(|movement| !witnesses.references || movement.by != Mover::Reference);
    movements.append(&mut told);
    movements.extend(files_that_share(&trial, &own, witnesses));
    if !witnesses.references {
        movements.push(copied_late(&movements, trial.zero_copy));
    }
    movements.retain(|movement| movement.bytes > 0);
    Observation {
        strategy: trial.strategy,
        route: trial.route,
        side: trial.side,
        message_bytes: trial.message_bytes,
        messages: trial.messages,
        payload_bytes: trial.bytes,
        checked_by: trial.checked_by,
        call_order: trial.call_order,
        syscalls: own.calls.into_iter().map(|(name, calls)| (name, calls.count)).collect(),
        page_faults_user: own.page_faults_user,
        page_faults_kernel: own.page_faults_kernel,
        context_switches_voluntary: own.switches_voluntary,
        context_switches_involuntary: own.switches_involuntary,
        movements: merge(&movements),
        nic_header_bytes: own.nic_header_bytes,
        nic_retransmitted_bytes: own.nic_retransmitted_bytes,
        disk_metadata_bytes: own.disk_metadata_bytes,
        lost_events,
        zero_copy: trial.zero_copy,
    }
}

/// The ways of io_uring's operations in a trial, whose route gives the objects: the operation's name,
/// whether it is on a socket, and the way. Not SEND_ZC: only its notifications tell whether its bytes are
/// copied later, and on some kernels they are wrong.
const OPERATIONS: [(&str, bool, Place, Place, Mover); 4] = [
    ("READ", false, Place::PageCache, Place::User, Mover::Cpu),
    ("SEND", true, Place::User, Place::Socket, Mover::Cpu),
    ("SPLICE", false, Place::PageCache, Place::Pipe, Mover::Reference),
    ("SPLICE", true, Place::PageCache, Place::Socket, Mover::Reference),
];

fn operations(route: Route, own: &Traffic) -> Vec<Movement> {
    if route != Route::FileToSocket {
        return Vec::new();
    }
    let told = own.operations.iter().flat_map(|operation| {
        let known = OPERATIONS.iter().filter(|(name, on_socket, ..)| {
            (*name, *on_socket) == (operation.name.as_str(), operation.on_socket)
        });
        known.map(|&(name, _, from, to, by)| {
            let witness = format!("result of io_uring's {name}");
            told(
                (from, to, by),
                Side::Sender,
                witness,
                operation.calls.bytes,
                operation.calls.count,
            )
        })
    });
    told.collect()
}

/// Two files that share their blocks on the disk need no copy: the file system reports the shared bytes.
/// It copied the rest.
fn files_that_share(trial: &Trial, own: &Traffic, witnesses: Witnesses) -> Vec<Movement> {
    let called = own.calls.get(COPIES_FILES).copied().unwrap_or_default();
    if trial.shared_bytes == 0 {
        return Vec::new();
    }
    let by_reference = (Place::Disk, Place::Disk, Mover::Reference);
    let witness = "shared extents of both files (FIEMAP)";
    let mut movements = vec![told(by_reference, trial.side, witness, trial.shared_bytes, 1)];
    if !witnesses.copies {
        let copy = (Place::PageCache, Place::PageCache, Mover::Cpu);
        let bytes = called.bytes.saturating_sub(trial.shared_bytes);
        let witness = "return value of copy_file_range()";
        movements.push(told(copy, trial.side, witness, bytes, called.count));
    }
    movements
}

/// A program's memory that went into the socket by reference was copied late if the kernel's notification
/// says so. It says so for some linearised packets too.
fn copied_late(movements: &[Movement], zero_copy: Option<ZeroCopy>) -> Movement {
    const LATE: (Place, Place, Mover) = (Place::Socket, Place::Kernel, Mover::Cpu);
    let bytes_of = |way| -> u64 {
        let same = |movement: &&Movement| (movement.from, movement.to, movement.by) == way;
        movements.iter().filter(same).map(|movement| movement.bytes).sum()
    };
    let sent = bytes_of((Place::User, Place::Socket, Mover::Reference));
    let part = zero_copy.and_then(|said| said.copied_part()).unwrap_or_default();
    let copied = (sent as f64 * part).round() as u64;
    let calls = zero_copy.and_then(|said| said.copied).unwrap_or_default();
    let witness = "the notifications of zero-copy sends";
    told(LATE, Side::Sender, witness, copied.saturating_sub(bytes_of(LATE)), calls)
}

fn told(
    (from, to, by): (Place, Place, Mover),
    side: Side,
    witness: impl Into<String>,
    bytes: u64,
    calls: u64,
) -> Movement {
    let (provenance, witness) = (Provenance::Derived, witness.into());
    Movement { from, to, by, side, provenance, witness, bytes, calls, verified_bytes: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Calls, Endpoint, Flow, Operations,
        medium::Medium,
        tests::{file, flow, tcp},
    };

    const NOTHING: Witnesses = Witnesses { copies: false, references: false };

    fn trial(route: Route) -> Trial {
        Trial {
            strategy: "any".into(),
            route,
            call_order: Vec::new(),
            side: Side::Sender,
            others: BTreeSet::new(),
            message_bytes: 100,
            messages: 1,
            bytes: 100,
            zero_copy: None,
            shared_bytes: 0,
            checked_by: CheckedBy::Hash,
        }
    }

    fn called(name: &str, bytes: u64) -> Traffic {
        let calls = [(name.to_owned(), Calls { count: 1, bytes })].into();
        Traffic { payload_bytes: bytes, calls, ..Traffic::default() }
    }

    type Seen = (Side, Place, Place, Mover, u64);

    fn seen(trial: Trial, flows: impl IntoIterator<Item = (Flow, Traffic)>) -> Vec<Seen> {
        let observed = observe(trial, Ledger::from_iter(flows), NOTHING, 0);
        let movements = observed.movements.into_iter();
        movements.map(|it| (it.side, it.from, it.to, it.by, it.bytes)).collect()
    }

    use Mover::{Cpu, Reference};
    use Place::{Disk, Kernel, PageCache, Pipe, Socket, User};

    #[test]
    fn each_process_is_on_its_side() {
        let read = flow(file("a"), Endpoint::memory());
        let mut received = flow(tcp(1), Endpoint::memory());
        received.process.pid = Some(9);
        let flows =
            || [(read.clone(), called("read", 100)), (received.clone(), called("recv", 100))];
        let others = BTreeSet::from([9]);
        let observed = observe(
            Trial { others, ..trial(Route::FileToSocket) },
            Ledger::from(flows()),
            NOTHING,
            3,
        );
        let sides: Vec<_> = observed.movements.iter().map(|it| (it.side, it.from)).collect();
        assert_eq!(sides, [(Side::Sender, PageCache), (Side::Receiver, Socket)]);
        assert_eq!(observed.syscalls, [("read".to_owned(), 1)].into());
        assert_eq!(observed.lost_events, 3);
    }

    #[test]
    fn what_two_files_share_was_not_copied() {
        let xfs = |name| Endpoint { medium: Medium::FileSystem(0x5846_5342), ..file(name) };
        let copied = |shared_bytes| {
            let trial = Trial { shared_bytes, ..trial(Route::FileToFile) };
            seen(trial, [(flow(xfs("a"), xfs("b")), called("copy_file_range", 100))])
        };
        assert_eq!(copied(100), [(Side::Sender, Disk, Disk, Reference, 100)]);
        let rest = (Side::Sender, PageCache, PageCache, Cpu, 40);
        assert_eq!(copied(60), [(Side::Sender, Disk, Disk, Reference, 60), rest]);
        assert_eq!(copied(0), []);
    }

    #[test]
    fn the_kernels_word_stands_for_late_copies() {
        let late = |copied, linear_bytes| {
            let said = ZeroCopy { notifications: 4, copied };
            let sent = Traffic { zero_copy_bytes: 100, linear_bytes, ..called("sendto", 100) };
            let trial = Trial { zero_copy: Some(said), ..trial(Route::FileToSocket) };
            let seen = seen(trial, [(flow(Endpoint::memory(), tcp(1)), sent)]);
            let late = seen.iter().filter(|(_, from, to, ..)| (*from, *to) == (Socket, Kernel));
            late.map(|(.., bytes)| bytes).sum::<u64>()
        };
        assert_eq!(late(Some(0), 0), 0);
        assert_eq!(late(Some(1), 0), 25);
        assert_eq!(late(Some(4), 0), 100);
        // A linearised packet may be reported as copied, and is copied once.
        assert_eq!(late(Some(4), 100), 100);
        assert_eq!(late(None, 0), 0);
    }

    #[test]
    fn results_of_io_uring_stand_in() {
        let of = |name: &str, on_socket| {
            let calls = Calls { count: 1, bytes: 100 };
            let operations = vec![Operations { name: name.to_owned(), on_socket, calls }];
            let own = Traffic { operations, ..Traffic::default() };
            let flow = flow(Endpoint::memory(), Endpoint::memory());
            seen(trial(Route::FileToSocket), [(flow, own)])
        };
        assert_eq!(of("READ", false), [(Side::Sender, PageCache, User, Cpu, 100)]);
        assert_eq!(of("SEND", true), [(Side::Sender, User, Socket, Cpu, 100)]);
        assert_eq!(of("SPLICE", false), [(Side::Sender, PageCache, Pipe, Reference, 100)]);
        assert_eq!(of("SPLICE", true), [(Side::Sender, PageCache, Socket, Reference, 100)]);
        // The fate of a zero-copy send is unknown.
        assert_eq!(of("SEND_ZC", true), []);
    }
}
