//! Pages: whose memory they are.

use tracer_common::owner;

use super::{layout, read};

/// Low bit of `page.mapping`: the page is anonymous memory of a program.
const MAPPING_ANON: u64 = 1;
/// The low bits that are no part of the address of a file's pages.
const MAPPING_FLAGS: u64 = 3;
/// Low bit of `page.compound_head` and of `page.compound_info`: the page is a part of a larger one.
const TAIL: u64 = 1;
/// The rest points to the first page, or is a mask that makes the first one's address of this one's. No
/// page's own description lies so high.
const MASKS: u64 = 0xffff_ffff_0000_0000;

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
    read(head(page)?, layout!(page_mapping))
}

/// The first page of the larger one that a page is a part of, as the kernel's `compound_head()` finds it.
#[inline(always)]
fn head(page: u64) -> Option<u64> {
    let info: u64 = read(page, layout!(page_head))?;
    Some(match info & TAIL {
        0 => page,
        _ if info >= MASKS => page & info,
        _ => info - TAIL,
    })
}

/// The page of the first of an array of `struct bio_vec`.
#[inline(always)]
pub fn of_vectors(vectors: u64) -> Option<u64> {
    read(vectors, layout!(vector_page))
}
