//! Pages: whose memory they are.

use crate::kernel::{layout, read};

/// Low bit of `page.mapping`: the page is anonymous memory of a program.
const MAPPING_ANON: u64 = 1;
/// Low bit of `page.compound_head`: the page is a part of a larger one, which the rest points to.
const TAIL: u64 = 1;

/// Whether a page is memory of a program, and not of the page cache or the kernel.
#[inline(always)]
pub fn is_anonymous(page: u64) -> bool {
    let head: u64 = read(page, layout!(page_head)).unwrap_or(0);
    let page = if head & TAIL != 0 { head - TAIL } else { page };
    read::<u64>(page, layout!(page_mapping)).unwrap_or(0) & MAPPING_ANON != 0
}

/// The page of the first of an array of `struct bio_vec`.
#[inline(always)]
pub fn of_vectors(vectors: u64) -> Option<u64> {
    read(vectors, layout!(vector_page))
}
