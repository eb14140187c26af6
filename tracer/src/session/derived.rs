//! What no witness of this kernel sees, derived from what system calls return: arithmetic on
//! measured numbers, and marked as such.

use syscalls::Sysno;
use tracer_common::{Event, ROLE_SENDER, Tally, call};
use workloads::Route;

use super::{
    Counts, Payload,
    movements::{Way, measured, role, sum},
};
use crate::{
    ledger::{Movement, Mover, Place, Provenance, Side, ZeroCopy},
    witness::Plan,
};

/// Something that returns how many bytes went which way.
struct Call {
    source: Source,
    kind: u8,
    way: Way,
    side: Side,
}

/// What returns it.
enum Source {
    Syscall(Sysno),
    /// An operation of io_uring: its opcode in `linux/io_uring.h`, and its name.
    IoUring(u32, &'static str),
}

const READ: Way = (Place::PageCache, Place::User, Mover::Cpu);
const WRITE: Way = (Place::User, Place::Socket, Mover::Cpu);
const LATE: Way = (Place::Socket, Place::Kernel, Mover::Cpu);
const BY_REFERENCE: Way = (Place::User, Place::Socket, Mover::Reference);
const FROM_MAPPING: Way = (Place::PageCache, Place::Socket, Mover::Cpu);

const fn row(call: Sysno, kind: u8, way: Way) -> Call {
    Call { source: Source::Syscall(call), kind, way, side: Side::Sender }
}

const fn receives(call: Sysno, kind: u8, way: Way) -> Call {
    Call { side: Side::Receiver, ..row(call, kind, way) }
}

const fn operation(code: u32, name: &'static str, kind: u8, way: Way) -> Call {
    Call { source: Source::IoUring(code, name), kind, way, side: Side::Sender }
}

/// The calls of a route: what they read from and write to goes with it.
const fn calls(route: Route) -> &'static [Call] {
    match route {
        Route::FileToSocket | Route::MemoryToSocket | Route::Datagrams => CALLS,
        Route::FileToFile => TO_FILE,
        Route::ProcessToProcess => TO_PROCESS,
        Route::Receive => FROM_SOCKET,
    }
}

/// The sender's calls: what it reads is a file, what it writes to is a socket.
const CALLS: &[Call] = &[
    row(Sysno::read, call::PLAIN, READ),
    row(Sysno::pread64, call::PLAIN, READ),
    row(Sysno::readv, call::PLAIN, READ),
    row(Sysno::preadv, call::PLAIN, READ),
    row(Sysno::write, call::PLAIN, WRITE),
    row(Sysno::writev, call::PLAIN, WRITE),
    row(Sysno::sendto, call::PLAIN, WRITE),
    row(Sysno::sendmsg, call::PLAIN, WRITE),
    row(Sysno::write, call::FROM_MAPPING, FROM_MAPPING),
    row(Sysno::writev, call::FROM_MAPPING, FROM_MAPPING),
    row(Sysno::sendto, call::ZERO_COPY, BY_REFERENCE),
    row(Sysno::sendmsg, call::ZERO_COPY, BY_REFERENCE),
    row(Sysno::sendfile, call::PLAIN, (Place::PageCache, Place::Socket, Mover::Reference)),
    row(Sysno::splice, call::PLAIN, (Place::PageCache, Place::Pipe, Mover::Reference)),
    row(Sysno::splice, call::TO_SOCKET, (Place::PageCache, Place::Socket, Mover::Reference)),
    operation(22, "READ", call::PLAIN, READ),
    operation(26, "SEND", call::TO_SOCKET, WRITE),
    operation(30, "SPLICE", call::PLAIN, (Place::PageCache, Place::Pipe, Mover::Reference)),
    operation(30, "SPLICE", call::TO_SOCKET, (Place::PageCache, Place::Socket, Mover::Reference)),
    // Not SEND_ZC: whether its bytes are copied later only its notifications say, and on some
    // kernels they are wrong.
];

const IN_CACHE: Way = (Place::PageCache, Place::PageCache, Mover::Cpu);

/// What the sender reads is a file, and what it writes to is another one.
const TO_FILE: &[Call] = &[
    row(Sysno::read, call::PLAIN, READ),
    row(Sysno::write, call::PLAIN, (Place::User, Place::PageCache, Mover::Cpu)),
    row(Sysno::sendfile, call::PLAIN, IN_CACHE),
    row(Sysno::copy_file_range, call::PLAIN, IN_CACHE),
];

/// What the sender writes to is a pipe, what it sends to a socket; the receiver reads from the pipe.
/// What it receives from the socket, a tracepoint sees.
const TO_PROCESS: &[Call] = &[
    row(Sysno::write, call::PLAIN, (Place::User, Place::Pipe, Mover::Cpu)),
    row(Sysno::sendto, call::PLAIN, WRITE),
    receives(Sysno::read, call::PLAIN, (Place::Pipe, Place::User, Mover::Cpu)),
    receives(Sysno::process_vm_readv, call::PLAIN, (Place::User, Place::User, Mover::Cpu)),
];

/// What is received by copy, a tracepoint sees.
const FROM_SOCKET: &[Call] = &[
    receives(Sysno::splice, call::FROM_SOCKET, (Place::Socket, Place::Pipe, Mover::Reference)),
    receives(Sysno::splice, call::PLAIN, (Place::Pipe, Place::PageCache, Mover::Cpu)),
];

/// No witness sees it in any tier.
const MAPPED: Call = receives(
    Sysno::getsockopt,
    call::MAPS_RECEIVED,
    (Place::Socket, Place::User, Mover::Reference),
);

/// No witness sees it in any tier.
const GIFT: Call = row(Sysno::vmsplice, call::PLAIN, (Place::User, Place::Pipe, Mover::Reference));

/// The movements that no witness of the plan sees.
pub fn movements(payload: &Payload, counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let unseen = |by: Mover| match by {
        Mover::Cpu => plan.sites.is_empty(),
        _ => plan.probes.is_empty(),
    };
    let calls = calls(payload.route).iter().filter(|row| unseen(row.way.2));
    let mut movements: Vec<Movement> = calls.map(|row| returned(counts, row)).collect();
    without_direct_reads(&mut movements, counts);
    if counts.total(Event::UpperProtocol, ROLE_SENDER).calls > 0 {
        // TLS may copy what it is given, or not: that is not for a return value to say.
        movements.retain(|movement| movement.to != Place::Socket);
    }
    without_shared_blocks(&mut movements, payload.shared_bytes);
    let gift = returned(counts, &GIFT);
    if gift.bytes > 0 {
        from_user(&mut movements);
    }
    movements.extend([gift, returned(counts, &MAPPED)]);
    if plan.probes.is_empty() {
        let linearised = linearised(payload.route, counts);
        movements.push(copied_late(&movements, &linearised, payload.zero_copy));
        movements.push(linearised);
    }
    movements
}

fn returned(counts: &Counts, row: &Call) -> Movement {
    let (event, number, witness) = match row.source {
        Source::Syscall(call) => {
            (Event::Syscall, call as u32, format!("return value of {}()", call.name()))
        }
        Source::IoUring(code, name) => {
            (Event::IoUring, code, format!("result of io_uring's {name}"))
        }
    };
    let of_row = sum(counts
        .of(event, role(row.side))
        .filter(|(key, _)| (key.detail, key.kind) == (number, row.kind)));
    derived(row.way, row.side, witness, of_row)
}

fn derived(way: Way, side: Side, witness: impl Into<String>, tally: Tally) -> Movement {
    Movement { provenance: Provenance::Derived, ..measured(way, side, witness, tally) }
}

/// What a device wrote into the program's memory was read, but by no copy.
fn without_direct_reads(movements: &mut [Movement], counts: &Counts) {
    let disk = counts.of(Event::DiskRead, ROLE_SENDER);
    let mut direct = sum(disk.filter(|(key, _)| key.kind == 1)).bytes;
    for movement in movements {
        if (movement.from, movement.to, movement.by) == READ {
            let less = direct.min(movement.bytes);
            movement.bytes -= less;
            direct -= less;
        }
    }
}

/// Two files that have the same blocks on the disk need no copy: a file system with reflinks says
/// so of its own accord.
fn without_shared_blocks(movements: &mut Vec<Movement>, shared: u64) {
    let mut rest = shared;
    for movement in &mut *movements {
        if (movement.from, movement.to, movement.by) == IN_CACHE {
            let less = rest.min(movement.bytes);
            movement.bytes -= less;
            rest -= less;
        }
    }
    let way = (Place::Disk, Place::Disk, Mover::Reference);
    let tally = Tally::new(shared, u64::from(shared > 0));
    movements.push(derived(way, Side::Sender, "shared extents of both files (FIEMAP)", tally));
}

/// A program that gives its own pages to a pipe has those go on to the socket.
fn from_user(movements: &mut [Movement]) {
    for movement in movements {
        if (movement.to, movement.by) == (Place::Socket, Mover::Reference) {
            movement.from = Place::User;
        }
    }
}

/// Memory of a program that went into the socket by reference was copied all the same where the
/// kernel said so. It says so of some linearised packets, too.
fn copied_late(
    movements: &[Movement],
    linearised: &Movement,
    zero_copy: Option<ZeroCopy>,
) -> Movement {
    let sent = movements.iter().filter(|m| (m.from, m.to, m.by) == BY_REFERENCE);
    let sent: u64 = sent.map(|movement| movement.bytes).sum();
    let part = zero_copy.and_then(|said| said.copied_part()).unwrap_or_default();
    let copied = (sent as f64 * part).round() as u64;
    let bytes = copied.saturating_sub(linearised.bytes);
    let calls = zero_copy.and_then(|said| said.copied).unwrap_or_default();
    derived(LATE, Side::Sender, "the notifications of zero-copy sends", Tally::new(bytes, calls))
}

/// TCP keeps payload in pages, so payload in the linear part of a packet that reached a device
/// was copied there. A datagram's may be copied nowhere else in the first place.
fn linearised(route: Route, counts: &Counts) -> Movement {
    let witness = "net:net_dev_start_xmit, payload in the linear part";
    let linear = match route {
        Route::Datagrams => Tally::default(),
        _ => counts.total(Event::NicLinear, ROLE_SENDER),
    };
    derived(LATE, Side::Sender, witness, linear)
}
