//! Pages and their owners.

use tracer_common::owner;

use super::{layout, read};

/// Low bit of `page.mapping`: the page is anonymous memory of a program.
const MAPPING_ANON: u64 = 1;
/// The low bits that are not part of the address of a file's `address_space`.
const MAPPING_FLAGS: u64 = 3;
/// Low bit of `page.compound_head` and of `page.compound_info`: the page belongs to a larger one.
const TAIL: u64 = 1;
/// The other bits point to the first page, or are a mask that turns this page's address into the first
/// one's. No `struct page` lies that high.
const MASKS: u64 = 0xffff_ffff_0000_0000;

/// The owner of a page's memory: one of [`owner`].
#[inline(always)]
pub fn owner(page: u64) -> u8 {
    match mapping(page) {
        Some(0) => owner::KERNEL,
        Some(mapping) if mapping & MAPPING_ANON != 0 => owner::PROGRAM,
        _ => owner::PAGE_CACHE,
    }
}

/// Whether a page belongs to the page cache, and not to a program or the kernel.
#[inline(always)]
pub fn is_cached(page: u64) -> bool {
    mapping(page).is_some_and(|mapping| mapping != 0 && mapping & MAPPING_FLAGS == 0)
}

#[inline(always)]
fn mapping(page: u64) -> Option<u64> {
    read(head(page)?, layout!(page_mapping))
}

/// The first page of the larger one that a page belongs to, as the kernel's `compound_head()` finds it.
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
