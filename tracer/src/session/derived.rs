//! What no witness of this kernel sees, derived from what system calls return: arithmetic on
//! measured numbers, and marked as such.

use syscalls::Sysno;
use tracer_common::{Event, ROLE_SENDER, Tally, call};

use super::{
    Counts,
    movements::{Way, measured, sum},
};
use crate::{
    ledger::{Movement, Mover, Place, Provenance, Side},
    witness::Plan,
};

/// A system call that returns how many bytes went which way.
struct Call {
    call: Sysno,
    kind: u8,
    way: Way,
}

const READ: Way = (Place::PageCache, Place::User, Mover::Cpu);
const WRITE: Way = (Place::User, Place::Socket, Mover::Cpu);

const fn row(call: Sysno, kind: u8, way: Way) -> Call {
    Call { call, kind, way }
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
    row(Sysno::write, call::FROM_MAPPING, (Place::PageCache, Place::Socket, Mover::Cpu)),
    row(Sysno::sendto, call::ZERO_COPY, (Place::User, Place::Socket, Mover::Reference)),
    row(Sysno::sendmsg, call::ZERO_COPY, (Place::User, Place::Socket, Mover::Reference)),
    row(Sysno::sendfile, call::PLAIN, (Place::PageCache, Place::Socket, Mover::Reference)),
    row(Sysno::splice, call::PLAIN, (Place::PageCache, Place::Pipe, Mover::Reference)),
    row(Sysno::splice, call::TO_SOCKET, (Place::PageCache, Place::Socket, Mover::Reference)),
];

/// No witness sees it in any tier.
const GIFT: Call = row(Sysno::vmsplice, call::PLAIN, (Place::User, Place::Pipe, Mover::Reference));

/// The sender's movements that no witness of the plan sees.
pub fn movements(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let unseen = |by: Mover| match by {
        Mover::Cpu => plan.sites.is_empty(),
        _ => plan.probes.is_empty(),
    };
    let mut movements: Vec<Movement> =
        CALLS.iter().filter(|row| unseen(row.way.2)).map(|row| returned(counts, row)).collect();
    without_direct_reads(&mut movements, counts);
    let gift = returned(counts, &GIFT);
    if gift.bytes > 0 {
        from_user(&mut movements);
    }
    movements.push(gift);
    if plan.probes.is_empty() {
        movements.push(linearised(counts));
    }
    movements
}

fn returned(counts: &Counts, row: &Call) -> Movement {
    let of_row = sum(counts
        .of(Event::Syscall, ROLE_SENDER)
        .filter(|(key, _)| (key.detail, key.kind) == (row.call as u32, row.kind)));
    derived(row.way, format!("return value of {}()", row.call.name()), of_row)
}

fn derived(way: Way, witness: impl Into<String>, tally: Tally) -> Movement {
    Movement { provenance: Provenance::Derived, ..measured(way, Side::Sender, witness, tally) }
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

/// A program that gives its own pages to a pipe has those go on to the socket.
fn from_user(movements: &mut [Movement]) {
    for movement in movements {
        if (movement.to, movement.by) == (Place::Socket, Mover::Reference) {
            movement.from = Place::User;
        }
    }
}

/// TCP keeps payload in pages, so payload in the linear part of a packet that reached a device
/// was copied there.
fn linearised(counts: &Counts) -> Movement {
    let way = (Place::Socket, Place::Kernel, Mover::Cpu);
    let witness = "net:net_dev_start_xmit, payload in the linear part";
    derived(way, witness, counts.total(Event::NicLinear, ROLE_SENDER))
}
