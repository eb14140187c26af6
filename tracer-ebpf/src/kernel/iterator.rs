//! `struct iov_iter`: the source or the destination of a copy routine.

use tracer_common::ABSENT;

use super::{layout, page, read};

/// In `iov_iter.type`, where there is one: to or from the iterator.
const DIRECTION: u8 = 1;

/// Its kind: an enumerator of `enum iter_type`.
#[inline(always)]
pub fn kind(iterator: u64) -> Option<u8> {
    let kind: u8 = read(iterator, layout!(iter_type))?;
    Some(if layout!(iter_type_with_direction) == ABSENT { kind } else { kind & !DIRECTION })
}

/// Whether an iterator of this kind is one over pages.
#[inline(always)]
pub fn is_over_pages(kind: u8) -> bool {
    u32::from(kind) == layout!(kind_bvec)
}

/// The page that an iterator over pages points to.
#[inline(always)]
pub fn page(iterator: u64) -> Option<u64> {
    page::of_vectors(read(iterator, layout!(iter_bvec))?)
}

/// The user address that an iterator of this kind points to now.
#[inline(always)]
pub fn user_address(iterator: u64, kind: u8) -> Option<u64> {
    let offset: u64 = read(iterator, layout!(iter_offset))?;
    let base: u64 = if u32::from(kind) == layout!(kind_ubuf) {
        read(iterator, layout!(iter_ubuf))?
    } else if u32::from(kind) == layout!(kind_iovec) {
        // The base address is the first field of an `iovec`.
        read(read(iterator, layout!(iter_iov))?, 0)?
    } else {
        return None;
    };
    Some(base + offset)
}

/// The bytes left in it.
#[inline(always)]
pub fn left(iterator: u64) -> Option<u64> {
    read(iterator, layout!(iter_count))
}
