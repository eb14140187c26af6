//! Encryption: a pass of the CPU over the bytes, which is no copy.

use tracer_common::{Event, Flow, Function, Key};

use super::function::{AtEntry as _, probes};
use crate::{
    kernel::{layout, page, read},
    state::{call, counters},
};

/// `CRYPTO_ALG_INTERNAL` in `linux/crypto.h`: the algorithm works for another one, whose call was
/// counted.
const INTERNAL: u32 = 0x2000;

/// Low bit of `scatterlist.page_link`: the entry points to another list, and not to a page.
const CHAIN: u64 = 1;
const FLAGS: u64 = 3;

probes! {
    /// `crypto_aead_encrypt(request)`
    entry kprobe_encrypt, fentry_encrypt(ctx) {
        if let Some(flow) = call::current_flow()
            && on_request(ctx.argument(0), flow).is_none()
        {
            counters::lost();
        }
    }
}

#[inline(always)]
fn on_request(request: u64, flow: Flow) -> Option<()> {
    let transform: u64 = read(request, layout!(cipher_transform))?;
    let algorithm: u64 = read(transform, layout!(transform_algorithm))?;
    let flags: u32 = read(algorithm, layout!(algorithm_flags))?;
    if flags & INTERNAL != 0 {
        return Some(());
    }
    let key = Key {
        kind: page::owner(plain_page(read(request, layout!(cipher_source))?)?),
        detail: Function::Encrypt as u32,
        ..counters::key(Event::Cipher, flow)
    };
    let length: u32 = read(request, layout!(cipher_length))?;
    counters::add(key, u64::from(length));
    Some(())
}

/// The first page of the plain text. The data that is only authenticated comes before it; TLS puts that
/// into an entry of its own.
#[inline(always)]
fn plain_page(entries: u64) -> Option<u64> {
    let second = entries + u64::from(layout!(scatter_size));
    let link: u64 = read(second, layout!(scatter_link))?;
    let link = if link & CHAIN != 0 { read(link & !FLAGS, layout!(scatter_link))? } else { link };
    Some(link & !FLAGS)
}
