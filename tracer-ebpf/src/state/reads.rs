//! The last reads of processes: they give bytes that are written out of memory a source.

use aya_ebpf::{macros::map, maps::HashMap};
use tracer_common::{ON_DEMAND, flow::MEMORY};

use super::{
    counters,
    entry::{Entries as _, Entry},
};
use crate::kernel::read_user;

/// How many reads of a process are kept.
const READS: usize = 8;

/// The buffer of a read. The threads of a process share the entries without a lock: an entry that is
/// changed while it is read, or by two threads at once, is ignored. So a link may be lost, but none is
/// made.
#[derive(Clone, Copy)]
struct Read {
    start: u64,
    end: u64,
    source: u64,
    /// The first bytes that were read. If others lie there later, the memory has been reused: a freed
    /// block begins with the addresses of its neighbours.
    sample: u64,
    /// The number of bytes.
    sum: u64,
}

impl Read {
    const NONE: Self = Self { start: 0, end: 0, source: 0, sample: 0, sum: 0 };

    #[inline(always)]
    fn new(start: u64, end: u64, source: u64) -> Self {
        let mut read = Self { start, end, source, sample: sample(start, end), sum: 0 };
        read.sum = read.sum();
        read
    }

    #[inline(always)]
    fn sum(&self) -> u64 {
        let Self { start, end, source, sample, .. } = *self;
        (start ^ end.rotate_left(16) ^ source.rotate_left(32) ^ sample.rotate_left(48)) | 1
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.sum == self.sum()
    }

    #[inline(always)]
    fn holds(&self, start: u64, end: u64) -> bool {
        self.start <= start && end <= self.end && self.is_whole()
    }
}

/// The first bytes in the current process's memory from `start` to `end`, eight at most.
#[inline(always)]
fn sample(start: u64, end: u64) -> u64 {
    let bytes: u64 = read_user(start, 0).unwrap_or(0);
    match end.wrapping_sub(start) {
        // Little-endian.
        length @ 1..8 => bytes & ((1 << (length * 8)) - 1),
        _ => bytes,
    }
}

/// The last reads of a process.
struct Reads {
    next: u64,
    reads: [Read; READS],
}

/// Not on the stack, where it has no room.
static NO_READS: Reads = Reads { next: 0, reads: [Read::NONE; READS] };

/// By process.
#[map]
static LAST_READS: HashMap<u32, Reads> = HashMap::with_max_entries(1, ON_DEMAND);

/// Forgets the reads of a process.
#[inline(always)]
pub fn forget_process(process: u32) {
    let _ = LAST_READS.remove(process);
}

/// The object that was read into this memory, or [`MEMORY`].
#[inline(always)]
pub fn source_of(process: u32, address: u64, length: u64) -> u32 {
    let Some(mut reads) = LAST_READS.entry(&process) else { return MEMORY };
    let mut found = Read::NONE;
    for index in 0..READS {
        let read = reads.read(index);
        if read.holds(address, address + length) {
            found = read;
        }
    }
    if found.end != 0 && found.sample == sample(found.start, found.end) {
        return found.source as u32;
    }
    MEMORY
}

impl Reads {
    /// An entry. The verifier sees the bound of the index.
    #[inline(always)]
    fn slot(&mut self, index: usize) -> *mut Read {
        (&raw mut self.reads).cast::<Read>().wrapping_add(index & (READS - 1))
    }

    /// An entry, as another thread may be writing it.
    #[inline(always)]
    fn read(&mut self, index: usize) -> Read {
        // SAFETY: `slot` points into `self`.
        unsafe { self.slot(index).read_volatile() }
    }

    #[inline(always)]
    fn write(&mut self, index: usize, read: Read) {
        // SAFETY: as in `read`.
        unsafe { self.slot(index).write_volatile(read) };
    }

    /// Clears an entry.
    #[inline(always)]
    fn forget(&mut self, index: usize) {
        // SAFETY: as in `read`.
        unsafe { (&raw mut (*self.slot(index)).sum).write_volatile(0) };
    }
}

/// The last reads of a process, where they are changed.
#[inline(always)]
fn reads_of(process: u32) -> Option<Entry<Reads>> {
    LAST_READS.entry(&process).or_else(|| {
        LAST_READS.insert(process, &NO_READS, 0).ok()?;
        LAST_READS.entry(&process)
    })
}

/// The current process read this many bytes from an object to this address.
#[inline(always)]
pub fn remember(process: u32, start: u64, length: u64, source: u32) {
    let Some(mut reads) = reads_of(process) else { return counters::lost() };
    let (end, source) = (start + length, u64::from(source));
    // A buffer that is filled by several calls may be written by one: finds the read that this one
    // continues, and its start.
    let (mut continued, mut first) = (READS, start);
    for index in 0..READS {
        let read = reads.read(index);
        if read.start < end && start < read.end && read.is_whole() {
            // The previous content of the buffer is gone.
            reads.forget(index);
        } else if read.end == start && read.source == source && read.is_whole() {
            (continued, first) = (index, read.start);
        }
    }
    if continued == READS {
        let next = reads.next;
        reads.next = next.wrapping_add(1);
        continued = next as usize;
    }
    reads.write(continued, Read::new(first, end, source));
}
