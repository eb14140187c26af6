//! Block devices: reads are counted where they are queued, in the context of the reading task.

use core::hint::black_box;

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::{Event, Flow, owner};

use crate::{
    kernel::{layout, page, read},
    state::{call, counters},
};

const REQ_OP_MASK: u32 = 0xff;
const REQ_OP_READ: u32 = 0;

/// `block_bio_queue([queue, ]bio)` fires once for every `bio`, before it is split or merged.
#[raw_tracepoint(tracepoint = "block_bio_queue")]
pub fn block_bio_queue(ctx: RawTracePointContext) -> i32 {
    if let Some(flow) = call::current_flow() {
        // Older verifiers refuse a single load from either address, which the compiler would make of the
        // two.
        let bio: u64 = if layout!(bio_argument) == 0 { black_box(ctx.arg(0)) } else { ctx.arg(1) };
        if on_bio(bio, flow).is_none() {
            counters::lost();
        }
    }
    0
}

#[inline(always)]
fn on_bio(bio: u64, flow: Flow) -> Option<()> {
    let flags: u16 = read(bio, layout!(bio_flags))?;
    // A clone is the same request on its way through a stacked device, such as a volume manager's.
    if u32::from(flags) >> (layout!(bio_cloned_bit) & 15) & 1 != 0 {
        return Some(());
    }
    let operation: u32 = read(bio, layout!(bio_opf))?;
    if operation & REQ_OP_MASK != REQ_OP_READ {
        return Some(());
    }
    let metadata = operation >> (layout!(bio_meta_bit) & 31) & 1 != 0;
    let mut key = counters::key(if metadata { Event::DiskMetadata } else { Event::DiskRead }, flow);
    let vectors: u64 = read(bio, layout!(bio_vectors))?;
    key.kind = u8::from(page::owner(page::of_vectors(vectors)?) == owner::PROGRAM);
    let size: u32 = read(bio, layout!(bio_size))?;
    counters::add(key, u64::from(size));
    Some(())
}
