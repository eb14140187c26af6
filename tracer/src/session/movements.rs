//! From counters to the ledger: what each of them proves about where bytes went.

use std::collections::BTreeMap;

use tracer_common::{
    Event, Function, Key, NO_ITERATOR, ROLE_RECEIVER, ROLE_SENDER, Tally, owner, user_copy,
};
use workloads::{CheckedBy, Route};

pub(super) use super::counts::sum;
use super::{Counts, derived};
use crate::{
    ledger::{Movement, Mover, Observation, Place, Provenance, Side, ZeroCopy, merge},
    witness::{
        Leaf, Plan,
        catalogue::{CALLERS, FUNCTIONS},
        sites::CallSite,
    },
};

/// What was sent, and is known to have arrived.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The strategy's name.
    pub strategy: String,
    /// From what to what it went.
    pub route: Route,
    /// The side that was measured.
    pub side: Side,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// How many messages.
    pub messages: u64,
    /// Payload bytes of all of them.
    pub bytes: u64,
    /// What the kernel told the program of zero-copy sends.
    pub zero_copy: Option<ZeroCopy>,
    /// Payload bytes that two files share on the disk, so that nothing had to move.
    pub shared_bytes: u64,
    /// How it was found out what arrived.
    pub checked_by: CheckedBy,
}

/// Makes the ledger of one window.
pub fn observe(payload: Payload, counts: &Counts, plan: &Plan) -> Observation {
    let role = role(payload.side);
    let own = |event| counts.total(event, role);
    let movements = merge(&movements(&payload, counts, plan));
    Observation {
        strategy: payload.strategy,
        route: payload.route,
        side: payload.side,
        message_bytes: payload.message_bytes,
        messages: payload.messages,
        payload_bytes: payload.bytes,
        checked_by: payload.checked_by,
        syscalls: syscalls(counts, role),
        page_faults_user: own(Event::FaultUser).calls,
        page_faults_kernel: own(Event::FaultKernel).calls,
        context_switches_voluntary: own(Event::SwitchVoluntary).calls,
        context_switches_involuntary: own(Event::SwitchInvoluntary).calls,
        movements,
        nic_header_bytes: on_bus(counts, Event::NicHeader, role).bytes,
        nic_retransmitted_bytes: own(Event::NicRetransmit).bytes,
        disk_metadata_bytes: own(Event::DiskMetadata).bytes,
        lost_events: counts.lost,
        zero_copy: payload.zero_copy,
    }
}

fn syscalls(counts: &Counts, role: u8) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for (key, tally) in counts.of(Event::Syscall, role) {
        *calls.entry(syscall_name(key.detail)).or_default() += tally.calls;
    }
    calls
}

pub(super) fn syscall_name(number: u32) -> String {
    syscalls::Sysno::new(number as usize)
        .map_or_else(|| format!("syscall_{number}"), |call| call.name().to_owned())
}

fn movements(payload: &Payload, counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let mut movements: Vec<Movement> =
        [Side::Sender, Side::Receiver].iter().flat_map(|side| seen(counts, *side, plan)).collect();
    let derived = derived::movements(payload, counts, plan);
    movements.extend(derived.into_iter().filter(|movement| movement.bytes > 0));
    movements
}

/// The movements that witnesses saw.
pub(super) fn seen(counts: &Counts, side: Side, plan: &Plan) -> Vec<Movement> {
    let mut movements = in_every_tier(counts, side);
    movements.extend(packet_copies(counts, side, plan));
    movements.extend(references(counts, side, plan));
    movements.extend(ciphered(counts, side, plan));
    movements.extend(site_copies(counts, side, plan));
    movements.retain(|movement| movement.bytes > 0);
    movements
}

pub(super) fn role(side: Side) -> u8 {
    match side {
        Side::Sender => ROLE_SENDER,
        Side::Receiver => ROLE_RECEIVER,
    }
}

/// From where, to where, and what moved the bytes.
pub(super) type Way = (Place, Place, Mover);

const TO_NIC: Way = (Place::Socket, Place::Nic, Mover::Dma);
const FROM_DISK_TO_USER: Way = (Place::Disk, Place::User, Mover::Dma);
const FROM_DISK: Way = (Place::Disk, Place::PageCache, Mover::Dma);
const USER_COPY: &str = "uprobe on the program's copying function";
const RECEIVED: Way = (Place::Socket, Place::User, Mover::Cpu);

pub(super) fn measured(
    (from, to, by): Way,
    side: Side,
    witness: impl Into<String>,
    tally: Tally,
) -> Movement {
    Movement {
        from,
        to,
        by,
        side,
        provenance: Provenance::Measured,
        witness: witness.into(),
        bytes: tally.bytes,
        calls: tally.calls,
        verified_bytes: None,
    }
}

/// A sum over packets given to devices on a bus; a virtual device moves nothing by DMA.
pub(super) fn on_bus(counts: &Counts, event: Event, role: u8) -> Tally {
    sum(counts.of(event, role).filter(|(key, _)| key.kind == 1))
}

fn in_every_tier(counts: &Counts, side: Side) -> Vec<Movement> {
    let disk = |to_user: u8| {
        sum(counts.of(Event::DiskRead, role(side)).filter(|(key, _)| key.kind == to_user))
    };
    let nic = match side {
        Side::Sender => on_bus(counts, Event::NicPayload, ROLE_SENDER),
        Side::Receiver => Tally::default(),
    };
    let mut movements = user_copies(counts, side);
    movements.extend([
        measured(FROM_DISK, side, "block:block_bio_queue", disk(0)),
        measured(FROM_DISK_TO_USER, side, "block:block_bio_queue", disk(1)),
        measured(TO_NIC, side, "net:net_dev_start_xmit", nic),
        measured(
            RECEIVED,
            side,
            "skb:skb_copy_datagram_iovec",
            counts.total(Event::SkbToUser, role(side)),
        ),
    ]);
    movements
}

/// What the program itself copied; a mapping of a file is the page cache.
fn user_copies(counts: &Counts, side: Side) -> Vec<Movement> {
    let copies = counts.of(Event::UserCopy, role(side));
    let place = |kind: u8, end| if kind & end != 0 { Place::PageCache } else { Place::User };
    copies
        .map(|(Key { kind, .. }, tally)| {
            let (from, to) =
                (place(kind, user_copy::FROM_MAPPING), place(kind, user_copy::TO_MAPPING));
            measured((from, to, Mover::Cpu), side, USER_COPY, tally)
        })
        .collect()
}

/// Events counted under a function with a program of its own, of one kind.
fn of_function(counts: &Counts, event: Event, side: Side, function: Function, kind: u8) -> Tally {
    let wanted = |key: &Key| (key.detail, key.kind) == (function as u32, kind);
    sum(counts.of(event, role(side)).filter(|(key, _)| wanted(key)))
}

/// Copies of packets; of those that were sent before are left out, as the packets themselves are.
fn packet_copies(counts: &Counts, side: Side, plan: &Plan) -> Vec<Movement> {
    let copies = FUNCTIONS.iter().filter(|witness| witness.movement.2 == Mover::Cpu);
    copies
        .map(|witness| Movement {
            verified_bytes: witness
                .leaf
                .and_then(|leaf| {
                    Some(leaf_bytes(counts, side, leaf_address(plan, leaf)?, NO_ITERATOR, 0))
                })
                .filter(|_| counts.verified),
            ..measured(
                witness.movement,
                side,
                symbol_of(plan, witness.function),
                of_function(counts, Event::PacketCopy, side, witness.function, 0),
            )
        })
        .collect()
}

/// Bytes that were passed on by reference.
fn references(counts: &Counts, side: Side, plan: &Plan) -> Vec<Movement> {
    out_of_pages(counts, side, plan, Event::Reference, Mover::Reference)
}

/// Bytes that the kernel enciphered.
fn ciphered(counts: &Counts, side: Side, plan: &Plan) -> Vec<Movement> {
    out_of_pages(counts, side, plan, Event::Cipher, Mover::Cipher)
}

/// What functions did with pages: out of the place the catalogue says, or whose memory they are.
fn out_of_pages(
    counts: &Counts,
    side: Side,
    plan: &Plan,
    event: Event,
    mover: Mover,
) -> Vec<Movement> {
    let witnesses = FUNCTIONS.iter().filter(|witness| witness.movement.2 == mover);
    witnesses
        .flat_map(|witness| {
            let (from, to, by) = witness.movement;
            let places = [
                (from, owner::PAGE_CACHE),
                (Place::User, owner::PROGRAM),
                (Place::Kernel, owner::KERNEL),
            ];
            places.map(|(from, owner)| {
                let tally = of_function(counts, event, side, witness.function, owner);
                measured((from, to, by), side, symbol_of(plan, witness.function), tally)
            })
        })
        .collect()
}

/// The symbol this kernel has for a function of the catalogue.
fn symbol_of(plan: &Plan, function: Function) -> &'static str {
    let probe = plan.probes.iter().find(|probe| probe.witness.function == function);
    probe.map_or("", |probe| probe.symbol)
}

fn leaf_address(plan: &Plan, symbol: &str) -> Option<u64> {
    plan.leaves.iter().find(|leaf| leaf.symbol == symbol).map(|leaf| leaf.address)
}

fn leaf_bytes(counts: &Counts, side: Side, address: u64, kind: u8, detail: u32) -> u64 {
    let same = |key: &Key| (key.address, key.kind, key.detail) == (address, kind, detail);
    sum(counts.of(Event::Leaf, role(side)).filter(|(key, _)| same(key))).bytes
}

fn site_copies(counts: &Counts, side: Side, plan: &Plan) -> Vec<Movement> {
    let hits: Vec<(&CallSite, Key, Tally)> = counts
        .of(Event::CopySite, role(side))
        .filter_map(|(key, tally)| {
            let site = plan.sites.iter().find(|site| site.address == key.address)?;
            Some((site, key, tally))
        })
        .collect();
    let mut movements = Vec::new();
    for &(site, key, tally) in &hits {
        let Some(way) = way_of(site, key, plan) else { continue };
        let verified_bytes = (way.2 == Mover::Cpu)
            .then(|| verified(counts, side, plan, &hits, (site, key, tally)))
            .flatten();
        movements.push(Movement { verified_bytes, ..measured(way, side, site.label(), tally) });
    }
    movements
}

/// What the breakpoints saw of one site's copies: all that its leaf routine copied for the same
/// kind of iterator, less what other sites gave to the same routine.
fn verified(
    counts: &Counts,
    side: Side,
    plan: &Plan,
    hits: &[(&CallSite, Key, Tally)],
    (site, key, _): (&CallSite, Key, Tally),
) -> Option<u64> {
    let leaf = plan.leaf_of(site.routine).filter(|_| counts.verified)?;
    let is_same = |other: &CallSite| {
        plan.leaf_of(other.routine).is_some_and(|other| other.address == leaf.address)
    };
    let seen = leaf_bytes(counts, side, leaf.address, key.kind, key.detail);
    let others = hits.iter().filter(|(other, other_key, _)| {
        other.address != site.address
            && is_same(other)
            && (other_key.kind, other_key.detail) == (key.kind, key.detail)
    });
    Some(seen.saturating_sub(others.map(|(.., tally)| tally.bytes).sum()))
}

/// Bytes by routine.
pub type Missing = BTreeMap<&'static str, i64>;

/// Bytes that breakpoints saw, less those that call sites explain: what stays in the sum of all is of a path
/// that the catalogue lacks. A call and its breakpoint may be counted one after the other, so it can be
/// negative meanwhile.
pub fn unexplained(counts: &Counts, plan: &Plan) -> Missing {
    let mut missing = Missing::new();
    let mut add = |leaf: &Leaf, bytes: i64| *missing.entry(leaf.symbol).or_default() += bytes;
    let bytes = |tally: Tally| i64::try_from(tally.bytes).unwrap_or(i64::MAX);
    for role in [ROLE_SENDER, ROLE_RECEIVER] {
        for (key, tally) in counts.of(Event::Leaf, role) {
            if let Some(leaf) = plan.leaves.iter().find(|leaf| leaf.address == key.address) {
                add(leaf, bytes(tally));
            }
        }
        for (key, tally) in counts.of(Event::CopySite, role) {
            let site = plan.sites.iter().find(|site| site.address == key.address);
            // What is passed on by reference is copied by no routine.
            let copied =
                |site: &&CallSite| way_of(site, key, plan).is_some_and(|(.., by)| by == Mover::Cpu);
            if let Some(leaf) = site.filter(copied).and_then(|site| plan.leaf_of(site.routine)) {
                add(leaf, -bytes(tally));
            }
        }
        for (key, tally) in counts.of(Event::PacketCopy, role) {
            let witness = FUNCTIONS.iter().find(|it| it.function as u32 == key.detail);
            let symbol = witness.and_then(|witness| witness.leaf);
            let mut leaves = plan.leaves.iter();
            if let Some(leaf) = leaves.find(|leaf| Some(leaf.symbol) == symbol) {
                add(leaf, -bytes(tally));
            }
        }
    }
    missing
}

/// The same in words.
pub fn words_of_unexplained(missing: &Missing) -> Vec<String> {
    let words = |(routine, bytes): (&&str, &i64)| {
        format!(
            "{bytes} bytes went through {routine}() from a place that no witness covers; \
             --all-copy-sites shows from where"
        )
    };
    missing.iter().filter(|(_, bytes)| **bytes > 0).map(words).collect()
}

/// Which way a call site's bytes went, by the caller and by what the iterator iterates over.
fn way_of(site: &CallSite, key: Key, plan: &Plan) -> Option<Way> {
    let known = CALLERS.iter().find(|caller| caller.name == site.caller);
    let place = known.map_or(Place::Kernel, |caller| caller.place);
    let kind = plan.iterator_kinds.get(&key.kind).copied();
    let (other, by) = match kind {
        Some("ITER_DISCARD") => return None,
        // Up to 6.4 the routine puts a reference to the page into the pipe.
        Some("ITER_PIPE") => (Place::Pipe, Mover::Reference),
        Some("ITER_UBUF" | "ITER_IOVEC" | "ITER_BVEC") if key.detail == 1 => {
            (Place::PageCache, Mover::Cpu)
        }
        Some("ITER_UBUF" | "ITER_IOVEC") => (Place::User, Mover::Cpu),
        _ => (Place::Kernel, Mover::Cpu),
    };
    Some(if site.routine.from_iterator { (other, place, by) } else { (place, other, by) })
}

/// Which way the bytes of one counter of copies went, and what copied them. Nothing of copies that
/// are in no ledger, such as those of packets that were sent before.
pub(super) fn copy_of(key: &Key, plan: &Plan) -> Option<(Way, &'static str)> {
    if key.event == Event::CopySite as u8 {
        let site = plan.sites.iter().find(|site| site.address == key.address)?;
        return Some((way_of(site, *key, plan)?, site.routine.name));
    }
    if key.event == Event::PacketCopy as u8 && key.kind == 0 {
        let witness = FUNCTIONS.iter().find(|witness| witness.function as u32 == key.detail)?;
        return Some((witness.movement, symbol_of(plan, witness.function)));
    }
    (key.event == Event::SkbToUser as u8).then_some((RECEIVED, "skb_copy_datagram_iter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::{Flow, Stacks};

    use crate::{session::counts::total, witness::Tier};

    const BYTES: u64 = 1 << 20;

    fn plan(kernel: &str, tier: Tier) -> Plan {
        Plan::resolve(&crate::kernel::recorded(kernel), tier).unwrap()
    }

    fn kind(plan: &Plan, name: &str) -> u8 {
        *plan.iterator_kinds.iter().find(|(_, found)| **found == name).unwrap().0
    }

    /// Counters as the programs would leave them.
    #[derive(Default)]
    struct Counted(Counts);

    impl Counted {
        fn with(mut self, key: Key, bytes: u64) -> Self {
            // Two CPUs saw half of it each.
            let half = Tally::new(bytes / 2, 1);
            self.0.add(key, total([half, half].iter()));
            self
        }

        fn site(self, plan: &Plan, caller: &str, iterator: &str, mapped: bool) -> Self {
            let address = plan.sites.iter().find(|site| site.caller == caller).unwrap().address;
            let key = key(Event::CopySite, kind(plan, iterator), u32::from(mapped), address);
            self.with(key, BYTES)
        }
    }

    fn key(event: Event, kind: u8, detail: u32, address: u64) -> Key {
        Key {
            event: event as u8,
            role: ROLE_SENDER,
            kind,
            detail,
            address,
            flow: Flow::NONE,
            epoch: 0,
            stacks: Stacks::NONE,
            cpu: 0,
            padding: 0,
        }
    }

    fn payload(route: Route, side: Side) -> Payload {
        Payload {
            strategy: "any".into(),
            route,
            side,
            message_bytes: BYTES,
            messages: 1,
            bytes: BYTES,
            zero_copy: None,
            shared_bytes: 0,
            checked_by: CheckedBy::Hash,
        }
    }

    fn ways(counts: &Counts, plan: &Plan) -> Vec<(Place, Place, Mover, Provenance)> {
        ways_of(Route::FileToSocket, Side::Sender, counts, plan)
    }

    fn ways_of(
        route: Route,
        side: Side,
        counts: &Counts,
        plan: &Plan,
    ) -> Vec<(Place, Place, Mover, Provenance)> {
        movements(&payload(route, side), counts, plan)
            .into_iter()
            .inspect(|movement| assert_eq!((movement.bytes, movement.calls), (BYTES, 2)))
            .map(|movement| (movement.from, movement.to, movement.by, movement.provenance))
            .collect()
    }

    use Mover::{Cipher, Cpu, Dma, Reference};
    use Place::{Kernel, Nic, PageCache, Pipe, Socket, User};
    use Provenance::{Derived, Measured};
    use tracer_common::call;

    #[test]
    fn the_same_call_is_a_copy_or_a_reference_by_what_it_copies_to() {
        let plan = plan("debian-6.1", Tier::Kprobe);
        let to = |iterator| {
            let counted = Counted::default().site(&plan, "filemap_read", iterator, false);
            ways(&counted.0, &plan)
        };
        assert_eq!(to("ITER_UBUF"), [(PageCache, User, Cpu, Measured)]);
        assert_eq!(to("ITER_IOVEC"), [(PageCache, User, Cpu, Measured)]);
        assert_eq!(to("ITER_PIPE"), [(PageCache, Pipe, Reference, Measured)]);
        assert_eq!(to("ITER_BVEC"), [(PageCache, Kernel, Cpu, Measured)]);
        assert_eq!(to("ITER_DISCARD"), []);
    }

    #[test]
    fn out_of_a_mapping_is_out_of_the_page_cache() {
        let plan = plan("debian-6.12", Tier::Fentry);
        let from = |mapped| {
            let counted = Counted::default().site(&plan, "tcp_sendmsg_locked", "ITER_UBUF", mapped);
            ways(&counted.0, &plan)
        };
        assert_eq!(from(false), [(User, Socket, Cpu, Measured)]);
        assert_eq!(from(true), [(PageCache, Socket, Cpu, Measured)]);
    }

    #[test]
    fn a_file_is_written_from_pages_of_the_cache_or_of_the_kernel() {
        for (kernel, tier) in [("debian-6.1", Tier::Kprobe), ("debian-6.12", Tier::Fentry)] {
            let plan = plan(kernel, tier);
            let from = |iterator, cached| {
                let caller = "generic_perform_write";
                ways(&Counted::default().site(&plan, caller, iterator, cached).0, &plan)
            };
            assert_eq!(from("ITER_BVEC", true), [(PageCache, PageCache, Cpu, Measured)]);
            assert_eq!(from("ITER_BVEC", false), [(Kernel, PageCache, Cpu, Measured)]);
            assert_eq!(from("ITER_UBUF", false), [(User, PageCache, Cpu, Measured)]);
        }
    }

    #[test]
    fn a_program_copies_to_and_from_what_it_mapped() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let copied =
            |kind| ways(&Counted::default().with(key(Event::UserCopy, kind, 0, 0), BYTES).0, &plan);
        assert_eq!(copied(0), [(User, User, Cpu, Measured)]);
        assert_eq!(copied(user_copy::FROM_MAPPING), [(PageCache, User, Cpu, Measured)]);
        let both = user_copy::FROM_MAPPING | user_copy::TO_MAPPING;
        assert_eq!(copied(both), [(PageCache, PageCache, Cpu, Measured)]);
    }

    #[test]
    fn what_two_files_share_was_not_copied() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let call = syscalls::Sysno::copy_file_range as u32;
        let counted = Counted::default().with(key(Event::Syscall, 0, call, 0), BYTES);
        let payload = payload(Route::FileToFile, Side::Sender);
        let seen = |payload: &Payload| -> Vec<_> {
            let movements = movements(payload, &counted.0, &plan);
            movements.into_iter().map(|seen| (seen.from, seen.to, seen.by, seen.bytes)).collect()
        };
        assert_eq!(seen(&payload), [(PageCache, PageCache, Cpu, BYTES)]);
        let shared = Payload { shared_bytes: BYTES, ..payload };
        assert_eq!(seen(&shared), [(Place::Disk, Place::Disk, Reference, BYTES)]);
    }

    #[test]
    fn what_a_process_fetches_or_reads_is_the_receivers() {
        let received = |call: syscalls::Sysno| {
            let key = Key { role: ROLE_RECEIVER, ..key(Event::Syscall, 0, call as u32, 0) };
            let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
            let payload = payload(Route::ProcessToProcess, Side::Receiver);
            let movements = movements(&payload, &Counted::default().with(key, BYTES).0, &plan);
            movements.into_iter().map(|seen| (seen.side, seen.from, seen.to)).collect::<Vec<_>>()
        };
        use syscalls::Sysno::{process_vm_readv, read};
        assert_eq!(received(process_vm_readv), [(Side::Receiver, User, User)]);
        assert_eq!(received(read), [(Side::Receiver, Pipe, User)]);
    }

    #[test]
    fn only_a_device_on_a_bus_copies_by_dma() {
        let plan = plan("debian-6.12", Tier::Kprobe);
        let given_to = |on_bus| {
            let counted = Counted::default().with(key(Event::NicPayload, on_bus, 2, 0), BYTES);
            ways(&counted.0, &plan)
        };
        assert_eq!(given_to(1), [(Socket, Nic, Dma, Measured)]);
        assert_eq!(given_to(0), []);
    }

    #[test]
    fn linearising_is_measured_with_function_probes_and_derived_without() {
        let counted = Counted::default()
            .with(key(Event::PacketCopy, 0, Function::CopyBits as u32, 0), BYTES)
            .with(key(Event::NicLinear, 1, 2, 0), BYTES);
        let with = plan("debian-6.12", Tier::Kprobe);
        assert_eq!(ways(&counted.0, &with), [(Socket, Kernel, Cpu, Measured)]);
        let without = Counted::default().with(key(Event::NicLinear, 1, 2, 0), BYTES);
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        assert_eq!(ways(&without.0, &plan), [(Socket, Kernel, Cpu, Derived)]);
    }

    #[test]
    fn a_datagram_that_lies_in_one_piece_was_not_copied_for_that() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let sent = |kind| {
            let send = key(Event::Syscall, kind, syscalls::Sysno::sendto as u32, 0);
            let linear = key(Event::NicLinear, 1, 2, 0);
            let counted = Counted::default().with(send, BYTES).with(linear, BYTES);
            ways_of(Route::Datagrams, Side::Sender, &counted.0, &plan)
        };
        assert_eq!(sent(call::PLAIN), [(User, Socket, Cpu, Derived)]);
        assert_eq!(sent(call::ZERO_COPY), [(User, Socket, Reference, Derived)]);
    }

    #[test]
    fn without_call_sites_what_system_calls_return_stands_in() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let of = |call: syscalls::Sysno, kind| {
            let counted = Counted::default().with(key(Event::Syscall, kind, call as u32, 0), BYTES);
            ways(&counted.0, &plan)
        };
        assert_eq!(of(syscalls::Sysno::read, 0), [(PageCache, User, Cpu, Derived)]);
        assert_eq!(of(syscalls::Sysno::write, 0), [(User, Socket, Cpu, Derived)]);
        assert_eq!(of(syscalls::Sysno::write, 1), [(PageCache, Socket, Cpu, Derived)]);
        assert_eq!(of(syscalls::Sysno::sendfile, 0), [(PageCache, Socket, Reference, Derived)]);
    }

    #[test]
    fn without_function_probes_the_kernels_word_stands_for_late_copies() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let send = key(Event::Syscall, call::ZERO_COPY, 44, 0);
        let late = |copied, linear| {
            let counted =
                Counted::default().with(send, BYTES).with(key(Event::NicLinear, 1, 2, 0), linear);
            let said = ZeroCopy { notifications: 4, copied };
            let payload =
                Payload { zero_copy: Some(said), ..payload(Route::FileToSocket, Side::Sender) };
            let movements = movements(&payload, &counted.0, &plan);
            let late = movements.iter().filter(|m| (m.from, m.to) == (Socket, Kernel));
            late.map(|movement| movement.bytes).sum::<u64>()
        };
        assert_eq!(late(Some(0), 0), 0);
        assert_eq!(late(Some(1), 0), BYTES / 4);
        assert_eq!(late(Some(4), 0), BYTES);
        // A linearised packet may be told of as copied, and is so once.
        assert_eq!(late(Some(4), BYTES), BYTES);
        assert_eq!(late(None, 0), 0);
    }

    #[test]
    fn whose_pages_they_are_is_where_bytes_come_from() {
        let plan = plan("debian-6.12", Tier::Fentry);
        let of = |event, owner, function| {
            let counted = Counted::default().with(key(event, owner, function as u32, 0), BYTES);
            ways(&counted.0, &plan)
        };
        let spliced = |owner| of(Event::Reference, owner, Function::SpliceToSocket);
        assert_eq!(spliced(owner::PAGE_CACHE), [(PageCache, Socket, Reference, Measured)]);
        assert_eq!(spliced(owner::PROGRAM), [(User, Socket, Reference, Measured)]);
        assert_eq!(spliced(owner::KERNEL), [(Kernel, Socket, Reference, Measured)]);
        let ciphered = |owner| of(Event::Cipher, owner, Function::Encrypt);
        assert_eq!(ciphered(owner::PAGE_CACHE), [(PageCache, Kernel, Cipher, Measured)]);
        assert_eq!(ciphered(owner::PROGRAM), [(User, Kernel, Cipher, Measured)]);
    }

    #[test]
    fn without_function_probes_results_of_io_uring_stand_in() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let of = |opcode, kind| {
            let counted = Counted::default().with(key(Event::IoUring, kind, opcode, 0), BYTES);
            ways(&counted.0, &plan)
        };
        assert_eq!(of(22, call::PLAIN), [(PageCache, User, Cpu, Derived)]);
        assert_eq!(of(26, call::TO_SOCKET), [(User, Socket, Cpu, Derived)]);
        assert_eq!(of(30, call::PLAIN), [(PageCache, Pipe, Reference, Derived)]);
        assert_eq!(of(30, call::TO_SOCKET), [(PageCache, Socket, Reference, Derived)]);
        // What becomes of a zero-copy send is not known.
        assert_eq!(of(47, call::TO_SOCKET), []);
    }

    #[test]
    fn without_function_probes_nothing_is_known_of_a_socket_with_a_protocol_above() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let above = key(Event::UpperProtocol, 0, 0, 0);
        let of = |call: syscalls::Sysno| {
            let counted = Counted::default().with(above, 0);
            let counted = counted.with(key(Event::Syscall, 0, call as u32, 0), BYTES);
            ways(&counted.0, &plan)
        };
        assert_eq!(of(syscalls::Sysno::read), [(PageCache, User, Cpu, Derived)]);
        assert_eq!(of(syscalls::Sysno::write), []);
        assert_eq!(of(syscalls::Sysno::sendfile), []);
    }

    #[test]
    fn breakpoints_are_compared_with_the_sites_that_lead_to_them() {
        let plan = plan("debian-6.12", Tier::Kprobe);
        let leaf = leaf_address(&plan, "_copy_from_iter").unwrap();
        let ubuf = kind(&plan, "ITER_UBUF");
        let mut counted = Counted::default()
            .site(&plan, "tcp_sendmsg_locked", "ITER_UBUF", false)
            .with(key(Event::Leaf, ubuf, 0, leaf), BYTES);
        counted.0.verified = true;
        let movements = movements(&payload(Route::FileToSocket, Side::Sender), &counted.0, &plan);
        assert_eq!(movements[0].verified_bytes, Some(BYTES));
        assert!(words_of_unexplained(&unexplained(&counted.0, &plan)).is_empty());

        let counted = counted.with(key(Event::Leaf, ubuf, 1, leaf), 4096);
        let words = words_of_unexplained(&unexplained(&counted.0, &plan));
        assert!(words[0].contains("4096 bytes went through _copy_from_iter"), "{words:?}");
    }

    #[test]
    fn system_calls_have_names() {
        assert_eq!(syscall_name(0), "read");
        assert_eq!(syscall_name(40), "sendfile");
        assert_eq!(syscall_name(9999), "syscall_9999");
    }
}
