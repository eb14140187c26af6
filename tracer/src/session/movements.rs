//! From counters to movements: the movement that each counter proves.

use tracer_common::{Event, Function, Key, NO_ITERATOR, Tally, leaf, owner, user_copy};
use tracer_ledger::{Movement, Mover, Place, Provenance, Side, flows::jvm};

use super::counts::{Counts, sum};
use crate::witness::{
    Leaf, Plan,
    catalogue::{CALLERS, FUNCTIONS},
    sites::CallSite,
};

pub(super) fn syscall_name(number: u32) -> String {
    syscalls::Sysno::new(number as usize)
        .map_or_else(|| format!("syscall_{number}"), |call| call.name().to_owned())
}

/// The movements that witnesses saw.
pub(super) fn seen(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let mut movements = in_every_tier(counts);
    movements.extend(packet_copies(counts, plan));
    movements.extend(references(counts, plan));
    movements.extend(ciphered(counts, plan));
    movements.extend(site_copies(counts, plan));
    movements.retain(|movement| movement.bytes > 0);
    movements
}

/// Source, destination and mover.
type Way = (Place, Place, Mover);

const TO_NIC: Way = (Place::Socket, Place::Nic, Mover::Dma);
const FROM_DISK_TO_USER: Way = (Place::Disk, Place::User, Mover::Dma);
const FROM_DISK: Way = (Place::Disk, Place::PageCache, Mover::Dma);
const USER_COPY: &str = "uprobe on the program's copying function";
/// A program's own copy: between parts of its memory.
const IN_MEMORY: Way = (Place::User, Place::User, Mover::Cpu);
const RECEIVED: Way = (Place::Socket, Place::User, Mover::Cpu);

fn measured((from, to, by): Way, witness: impl Into<String>, tally: Tally) -> Movement {
    Movement {
        from,
        to,
        by,
        side: Side::Sender,
        provenance: Provenance::Measured,
        witness: witness.into(),
        bytes: tally.bytes,
        calls: tally.calls,
        verified_bytes: None,
    }
}

/// A sum over packets given to devices on a bus; a virtual device moves nothing by DMA.
pub(super) fn on_bus(counts: &Counts, event: Event) -> Tally {
    sum(counts.of(event).filter(|(key, _)| key.kind == 1))
}

fn in_every_tier(counts: &Counts) -> Vec<Movement> {
    let disk = |to_user: u8| sum(counts.of(Event::DiskRead).filter(|(key, _)| key.kind == to_user));
    let nic = on_bus(counts, Event::NicPayload);
    let mut movements = user_copies(counts);
    movements.extend([
        measured(FROM_DISK, "block:block_bio_queue", disk(0)),
        measured(FROM_DISK_TO_USER, "block:block_bio_queue", disk(1)),
        measured(TO_NIC, "net:net_dev_start_xmit", nic),
        measured(RECEIVED, "skb:skb_copy_datagram_iovec", counts.total(Event::SkbToUser)),
        measured(IN_MEMORY, jvm::WITNESS, counts.total(Event::JvmCopy)),
    ]);
    movements
}

/// The program's own copies; a mapping of a file is the page cache.
fn user_copies(counts: &Counts) -> Vec<Movement> {
    let copies = counts.of(Event::UserCopy);
    let place = |kind: u8, end| if kind & end != 0 { Place::PageCache } else { Place::User };
    copies
        .map(|(Key { kind, .. }, tally)| {
            let (from, to) =
                (place(kind, user_copy::FROM_MAPPING), place(kind, user_copy::TO_MAPPING));
            measured((from, to, Mover::Cpu), USER_COPY, tally)
        })
        .collect()
}

/// Events counted under a function with a program of its own, of one kind.
fn of_function(counts: &Counts, event: Event, function: Function, kind: u8) -> Tally {
    let wanted = |key: &Key| (key.detail, key.kind) == (function as u32, kind);
    sum(counts.of(event).filter(|(key, _)| wanted(key)))
}

/// Copies of packets, without those of retransmissions, as in the counts of packets.
fn packet_copies(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let copies = FUNCTIONS.iter().filter(|witness| witness.movement.2 == Mover::Cpu);
    copies
        .map(|witness| Movement {
            verified_bytes: witness
                .leaf
                .and_then(|leaf| Some(leaf_bytes(counts, leaf_named(plan, leaf)?, NO_ITERATOR, 0)))
                .filter(|_| counts.verified),
            ..measured(
                witness.movement,
                symbol_of(plan, witness.function),
                of_function(counts, Event::PacketCopy, witness.function, 0),
            )
        })
        .collect()
}

/// Bytes that were passed on by reference.
fn references(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    out_of_pages(counts, plan, Event::Reference, Mover::Reference)
}

/// Bytes that the kernel encrypted.
fn ciphered(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    out_of_pages(counts, plan, Event::Cipher, Mover::Cipher)
}

/// Movements of pages by functions: from the place in the catalogue, or by the owner of the pages.
fn out_of_pages(counts: &Counts, plan: &Plan, event: Event, mover: Mover) -> Vec<Movement> {
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
                let tally = of_function(counts, event, witness.function, owner);
                measured((from, to, by), symbol_of(plan, witness.function), tally)
            })
        })
        .collect()
}

/// The symbol this kernel has for a function of the catalogue.
fn symbol_of(plan: &Plan, function: Function) -> &'static str {
    let probe = plan.probes.iter().find(|probe| probe.witness.function == function);
    probe.map_or("", |probe| probe.symbol)
}

fn leaf_named<'a>(plan: &'a Plan, symbol: &str) -> Option<&'a Leaf> {
    plan.leaves.iter().find(|leaf| leaf.symbol == symbol)
}

/// Bytes that breakpoints saw in a routine, for all its callers.
fn leaf_bytes(counts: &Counts, leaf: &Leaf, kind: u8, detail: u32) -> u64 {
    let wanted = (kind, leaf::detail(leaf.site.routine, detail));
    sum(counts.of(Event::Leaf).filter(|(key, _)| (key.kind, key.detail) == wanted)).bytes
}

fn site_copies(counts: &Counts, plan: &Plan) -> Vec<Movement> {
    let hits: Vec<(&CallSite, Key, Tally)> = counts
        .of(Event::CopySite)
        .filter_map(|(key, tally)| {
            let site = plan.sites.iter().find(|site| site.address == key.address)?;
            Some((site, key, tally))
        })
        .collect();
    let mut movements = Vec::new();
    for &(site, key, tally) in &hits {
        let Some(way) = way_of(site, key, plan) else { continue };
        let verified_bytes = (way.2 == Mover::Cpu)
            .then(|| verified(counts, plan, &hits, (site, key, tally)))
            .flatten();
        movements.push(Movement { verified_bytes, ..measured(way, site.label(), tally) });
    }
    movements
}

/// The breakpoints' bytes for one site's copies: all that its leaf routine copied for the same kind of
/// iterator, minus the copies of other sites through the same routine.
fn verified(
    counts: &Counts,
    plan: &Plan,
    hits: &[(&CallSite, Key, Tally)],
    (site, key, _): (&CallSite, Key, Tally),
) -> Option<u64> {
    let leaf = plan.leaf_of(site.routine).filter(|_| counts.verified)?;
    let is_same = |other: &CallSite| {
        plan.leaf_of(other.routine).is_some_and(|other| other.address == leaf.address)
    };
    let seen = leaf_bytes(counts, leaf, key.kind, key.detail);
    let others = hits.iter().filter(|(other, other_key, _)| {
        other.address != site.address
            && is_same(other)
            && (other_key.kind, other_key.detail) == (key.kind, key.detail)
    });
    Some(seen.saturating_sub(others.map(|(.., tally)| tally.bytes).sum()))
}

/// The way of a call site's bytes, by the caller and by the iterator's kind.
pub(super) fn way_of(site: &CallSite, key: Key, plan: &Plan) -> Option<Way> {
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

/// The way of the bytes of one counter of copies, and the routine that copied them. None for copies that
/// are in no ledger, such as those of retransmitted packets.
pub(super) fn copy_of(key: &Key, plan: &Plan) -> Option<(Way, &'static str)> {
    if key.event == Event::CopySite as u8 {
        let site = plan.sites.iter().find(|site| site.address == key.address)?;
        return Some((way_of(site, *key, plan)?, site.routine.name));
    }
    if key.event == Event::PacketCopy as u8 && key.kind == 0 {
        let witness = FUNCTIONS.iter().find(|witness| witness.function as u32 == key.detail)?;
        return Some((witness.movement, symbol_of(plan, witness.function)));
    }
    if key.event == Event::JvmCopy as u8 {
        return Some((IN_MEMORY, jvm::STUB));
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
        Plan::resolve(&crate::witness::recorded(kernel), tier).unwrap()
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
            kind,
            unused: 0,
            detail,
            address,
            flow: Flow::NONE,
            epoch: 0,
            stacks: Stacks::NONE,
            cpu: 0,
            padding: 0,
        }
    }

    fn ways(counts: &Counts, plan: &Plan) -> Vec<(Place, Place, Mover)> {
        seen(counts, plan)
            .into_iter()
            .inspect(|movement| assert_eq!((movement.bytes, movement.calls), (BYTES, 2)))
            .inspect(|movement| assert_eq!(movement.provenance, Provenance::Measured))
            .map(|movement| (movement.from, movement.to, movement.by))
            .collect()
    }

    use Mover::{Cipher, Cpu, Dma, Reference};
    use Place::{Kernel, Nic, PageCache, Pipe, Socket, User};

    #[test]
    fn the_same_call_is_a_copy_or_a_reference_by_what_it_copies_to() {
        let plan = plan("debian-6.1", Tier::Kprobe);
        let to = |iterator| {
            let counted = Counted::default().site(&plan, "filemap_read", iterator, false);
            ways(&counted.0, &plan)
        };
        assert_eq!(to("ITER_UBUF"), [(PageCache, User, Cpu)]);
        assert_eq!(to("ITER_IOVEC"), [(PageCache, User, Cpu)]);
        assert_eq!(to("ITER_PIPE"), [(PageCache, Pipe, Reference)]);
        assert_eq!(to("ITER_BVEC"), [(PageCache, Kernel, Cpu)]);
        assert_eq!(to("ITER_DISCARD"), []);
    }

    #[test]
    fn out_of_a_mapping_is_out_of_the_page_cache() {
        let plan = plan("debian-6.12", Tier::Fentry);
        let from = |mapped| {
            let counted = Counted::default().site(&plan, "tcp_sendmsg_locked", "ITER_UBUF", mapped);
            ways(&counted.0, &plan)
        };
        assert_eq!(from(false), [(User, Socket, Cpu)]);
        assert_eq!(from(true), [(PageCache, Socket, Cpu)]);
    }

    #[test]
    fn a_file_is_written_from_pages_of_the_cache_or_of_the_kernel() {
        for (kernel, tier) in [("debian-6.1", Tier::Kprobe), ("debian-6.12", Tier::Fentry)] {
            let plan = plan(kernel, tier);
            let from = |iterator, cached| {
                let caller = "generic_perform_write";
                ways(&Counted::default().site(&plan, caller, iterator, cached).0, &plan)
            };
            assert_eq!(from("ITER_BVEC", true), [(PageCache, PageCache, Cpu)]);
            assert_eq!(from("ITER_BVEC", false), [(Kernel, PageCache, Cpu)]);
            assert_eq!(from("ITER_UBUF", false), [(User, PageCache, Cpu)]);
        }
    }

    #[test]
    fn a_program_copies_to_and_from_what_it_mapped() {
        let plan = plan("no-kprobes-6.18", Tier::Tracepoint);
        let copied =
            |kind| ways(&Counted::default().with(key(Event::UserCopy, kind, 0, 0), BYTES).0, &plan);
        assert_eq!(copied(0), [(User, User, Cpu)]);
        assert_eq!(copied(user_copy::FROM_MAPPING), [(PageCache, User, Cpu)]);
        let both = user_copy::FROM_MAPPING | user_copy::TO_MAPPING;
        assert_eq!(copied(both), [(PageCache, PageCache, Cpu)]);
    }

    #[test]
    fn only_a_device_on_a_bus_copies_by_dma() {
        let plan = plan("debian-6.12", Tier::Kprobe);
        let given_to = |on_bus| {
            let counted = Counted::default().with(key(Event::NicPayload, on_bus, 2, 0), BYTES);
            ways(&counted.0, &plan)
        };
        assert_eq!(given_to(1), [(Socket, Nic, Dma)]);
        assert_eq!(given_to(0), []);
    }

    #[test]
    fn linearising_is_measured_with_function_probes() {
        let plan = plan("debian-6.12", Tier::Kprobe);
        let counted = Counted::default()
            .with(key(Event::PacketCopy, 0, Function::CopyBits as u32, 0), BYTES)
            .with(key(Event::NicLinear, 1, 2, 0), BYTES);
        assert_eq!(ways(&counted.0, &plan), [(Socket, Kernel, Cpu)]);
    }

    #[test]
    fn whose_pages_they_are_is_where_bytes_come_from() {
        let plan = plan("debian-6.12", Tier::Fentry);
        let of = |event, owner, function| {
            let counted = Counted::default().with(key(event, owner, function as u32, 0), BYTES);
            ways(&counted.0, &plan)
        };
        let spliced = |owner| of(Event::Reference, owner, Function::SpliceToSocket);
        assert_eq!(spliced(owner::PAGE_CACHE), [(PageCache, Socket, Reference)]);
        assert_eq!(spliced(owner::PROGRAM), [(User, Socket, Reference)]);
        assert_eq!(spliced(owner::KERNEL), [(Kernel, Socket, Reference)]);
        let ciphered = |owner| of(Event::Cipher, owner, Function::Encrypt);
        assert_eq!(ciphered(owner::PAGE_CACHE), [(PageCache, Kernel, Cipher)]);
        assert_eq!(ciphered(owner::PROGRAM), [(User, Kernel, Cipher)]);
    }

    #[test]
    fn breakpoints_are_compared_with_the_sites_that_lead_to_them() {
        let plan = plan("debian-6.12", Tier::Kprobe);
        let routine = leaf_named(&plan, "_copy_from_iter").unwrap().site.routine;
        let ubuf = kind(&plan, "ITER_UBUF");
        let mut counted = Counted::default()
            .site(&plan, "tcp_sendmsg_locked", "ITER_UBUF", false)
            .with(key(Event::Leaf, ubuf, leaf::detail(routine, 0), 7), BYTES);
        counted.0.verified = true;
        assert_eq!(seen(&counted.0, &plan)[0].verified_bytes, Some(BYTES));
    }

    #[test]
    fn system_calls_have_names() {
        assert_eq!(syscall_name(0), "read");
        assert_eq!(syscall_name(40), "sendfile");
        assert_eq!(syscall_name(9999), "syscall_9999");
    }
}
