//! CPU copies, seen at the calls to the kernel's copy routines.
//!
//! The routines themselves refuse probes, but the instruction that calls one takes a kprobe, and
//! there the argument registers hold the byte count and the iterator.

use aya_ebpf::{
    bindings::{bpf_perf_event_data, pt_regs},
    macros::{kprobe, map, perf_event, uprobe},
    maps::HashMap,
    programs::{PerfEventContext, ProbeContext},
};
use tracer_common::{Event, Key, NO_ITERATOR, Site, Task, call as kind, leaf, user_copy};

use crate::{
    kernel::{iterator, page, read},
    state::{
        call::{self, Current},
        counters,
        entry::{Entries as _, Entry},
        mapping, sequence, socket, stack,
        tasks::task_in_window,
    },
};

/// Call sites and, under `--verify`, leaf routines, by address. Filled before anything attaches.
#[map]
static SITES: HashMap<u64, Site> = HashMap::with_max_entries(4096, 0);

/// At the `call` or tail `jmp` to a copy routine.
#[kprobe]
pub fn copy_site(ctx: ProbeContext) -> u32 {
    // SAFETY: the context is valid while the program runs.
    let regs = Registers::of(unsafe { &*ctx.regs });
    // A breakpoint instruction is one byte long. The kernel reports the address after it, also for a
    // probe that it optimised into a jump.
    if let Some((key, bytes)) = copied(&regs, regs.ip - 1, Event::CopySite) {
        counters::add(stack::of_copy(&ctx, key), bytes);
    }
    0
}

/// At the entry of a program's own function that copies: (to, from, bytes).
#[uprobe]
pub fn user_copy(ctx: ProbeContext) -> u32 {
    if let Some(task) = task_in_window() {
        let mapped = |index| mapping::holds(task, ctx.arg(index).unwrap_or(0));
        let from = if mapped(1) { user_copy::FROM_MAPPING } else { 0 };
        let to = if mapped(0) { user_copy::TO_MAPPING } else { 0 };
        let key = Key { kind: from | to, ..counters::key(Event::UserCopy, call::flow_of(task)) };
        counters::add(key, ctx.arg(2).unwrap_or(0));
    }
    0
}

/// At the first instruction of a copy routine.
#[perf_event]
pub fn leaf_breakpoint(ctx: PerfEventContext) -> u32 {
    let data: *const bpf_perf_event_data = ctx.ctx;
    // SAFETY: as above; the registers are the first field.
    let regs = Registers::of(unsafe { &*data.cast::<pt_regs>() });
    if let Some((key, bytes)) = copied(&regs, regs.ip, Event::Leaf) {
        // At its first instruction the stack begins with the return address.
        let address = read(regs.sp, 0).unwrap_or(0);
        let routine = SITES.entry(&regs.ip).map_or(0, |site| site.routine);
        counters::add(Key { address, detail: leaf::detail(routine, key.detail), ..key }, bytes);
    }
    0
}

/// The argument registers of a call under the x86-64 calling convention.
struct Registers {
    ip: u64,
    sp: u64,
    arguments: [u64; 5],
}

impl Registers {
    #[inline(always)]
    fn of(regs: &pt_regs) -> Self {
        let (ip, sp) = (regs.rip, regs.rsp);
        Self { ip, sp, arguments: [regs.rdi, regs.rsi, regs.rdx, regs.rcx, regs.r8] }
    }

    #[inline(always)]
    fn argument(&self, index: u8) -> u64 {
        let [first, second, third, fourth, fifth] = self.arguments;
        match index {
            0 => first,
            1 => second,
            2 => third,
            3 => fourth,
            _ => fifth,
        }
    }
}

/// The counter and the bytes of a copy at `address`.
#[inline(always)]
fn copied(regs: &Registers, address: u64, event: Event) -> Option<(Key, u64)> {
    // The cheapest question first: most hits belong to processes that are not traced.
    let task = task_in_window();
    let site = SITES.entry(&address)?;
    if site.by_socket != 0 {
        return packet_copied(regs, &site, address, event);
    }
    let task = task?;
    let (kind, cached) = if site.iterator_argument == NO_ITERATOR {
        (NO_ITERATOR, false)
    } else {
        describe(regs.argument(site.iterator_argument), task)
    };
    let detail = u32::from(cached && site.from_iterator != 0);
    let key = Key { kind, detail, address, ..counters::key(event, call::flow_of(task)) };
    Some((key, asked_for(regs, &site)))
}

/// Bytes that a call can copy: a pipe asks for a whole page, even if the iterator has less left.
#[inline(always)]
fn asked_for(regs: &Registers, site: &Site) -> u64 {
    let count = regs.argument(site.count_argument);
    if site.iterator_argument == NO_ITERATOR {
        return count;
    }
    count.min(iterator::left(regs.argument(site.iterator_argument)).unwrap_or(count))
}

/// A copy out of a packet: (packet, offset, to, length).
#[inline(always)]
fn packet_copied(regs: &Registers, site: &Site, address: u64, event: Event) -> Option<(Key, u64)> {
    let skb = regs.argument(0);
    let socket = socket::of_packet(skb)?;
    let key = Key {
        kind: NO_ITERATOR,
        detail: u32::from(sequence::sent_before(skb, regs.argument(1) as u32, socket)),
        address,
        ..counters::key(event, socket::flow_through(socket))
    };
    Some((key, u64::from(regs.argument(site.count_argument) as u32)))
}

/// An iterator's kind, and whether it points into the page cache: to pages of it, or into a file that
/// the process mapped.
#[inline(always)]
fn describe(from: u64, task: Entry<Task>) -> (u8, bool) {
    let Some(kind) = iterator::kind(from) else {
        counters::lost();
        return (NO_ITERATOR, false);
    };
    let cached = if iterator::is_over_pages(kind) {
        iterator::page(from).is_some_and(page::is_cached)
    } else if mapping::any(task) {
        iterator::user_address(from, kind).is_some_and(|address| mapping::holds(task, address))
    } else {
        call::under_way().is_some_and(is_from_mapping)
    };
    (kind, cached)
}

#[inline(always)]
fn is_from_mapping(call: Entry<Current>) -> bool {
    call.kind & !u32::from(kind::BESIDES) == u32::from(kind::FROM_MAPPING)
}
