//! Pages: whose memory they are.

use tracer_common::owner;

use crate::kernel::{layout, read};

/// Low bit of `page.mapping`: the page is anonymous memory of a program.
const MAPPING_ANON: u64 = 1;
/// The low bits that are no part of the address of a file's pages.
const MAPPING_FLAGS: u64 = 3;
/// Low bit of `page.compound_head`: the page is a part of a larger one, which the rest points to.
const TAIL: u64 = 1;

/// Whose memory a page is: one of [`owner`].
#[inline(always)]
pub fn owner(page: u64) -> u8 {
    match mapping(page) {
        Some(0) => owner::KERNEL,
        Some(mapping) if mapping & MAPPING_ANON != 0 => owner::PROGRAM,
        _ => owner::PAGE_CACHE,
    }
}

/// Whether a page is of the page cache, and not memory of a program or of the kernel.
#[inline(always)]
pub fn is_cached(page: u64) -> bool {
    mapping(page).is_some_and(|mapping| mapping != 0 && mapping & MAPPING_FLAGS == 0)
}

#[inline(always)]
fn mapping(page: u64) -> Option<u64> {
    let head: u64 = read(page, layout!(page_head)).unwrap_or(0);
    let page = if head & TAIL != 0 { head - TAIL } else { page };
    read(page, layout!(page_mapping))
}

/// The page that an iterator over pages points to.
#[inline(always)]
pub fn of_iterator(iterator: u64) -> Option<u64> {
    of_vectors(read(iterator, layout!(iter_bvec))?)
}

/// The page of the first of an array of `struct bio_vec`.
#[inline(always)]
pub fn of_vectors(vectors: u64) -> Option<u64> {
    read(vectors, layout!(vector_page))
}
