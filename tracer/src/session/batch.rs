//! Reads many entries of a map with one system call: with tens of thousands of connections, one call for
//! each would be too slow.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::bpf;
use aya_obj::generated::{bpf_attr, bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_BATCH};

/// Keys per call. The kernel needs room for at least all entries of one hash bucket.
const AT_ONCE: usize = 1024;

/// The fewest entries to read in a batch. Fewer are better read one by one: while the kernel searches an
/// empty part of the map, no kprobe on this CPU runs its program.
pub const FEWEST: usize = 4096;

/// Removes all entries of a map with such keys and values. Entries that are added meanwhile may remain.
///
/// # Safety
/// Keys and values are as long as the map's.
pub unsafe fn take<K: aya::Pod, V: aya::Pod>(map: BorrowedFd) -> io::Result<Vec<(K, V)>> {
    let mut taken = Vec::new();
    let mut keys: Vec<K> = Vec::with_capacity(AT_ONCE);
    let mut values: Vec<V> = Vec::with_capacity(AT_ONCE);
    // The position of the next call, opaque to userspace.
    let (mut place, mut begun) = (0u64, false);
    loop {
        // SAFETY: all zeros is valid.
        let mut attr = unsafe { mem::zeroed::<bpf_attr>() };
        let to_place = &raw mut place as u64;
        attr.batch.in_batch = if begun { to_place } else { 0 };
        attr.batch.out_batch = to_place;
        attr.batch.keys = keys.as_mut_ptr() as u64;
        attr.batch.values = values.as_mut_ptr() as u64;
        attr.batch.count = AT_ONCE as u32;
        attr.batch.map_fd = map.as_raw_fd() as u32;
        // SAFETY: there is room for `AT_ONCE` keys and as many values of the map's; all outlive the call.
        let answer = unsafe { bpf::call(BPF_MAP_LOOKUP_AND_DELETE_BATCH, &mut attr) };
        let is_last = match answer {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        // SAFETY: the kernel wrote so many of both, for which there is room.
        unsafe {
            keys.set_len(attr.batch.count as usize);
            values.set_len(attr.batch.count as usize);
        }
        taken.extend(keys.iter().copied().zip(values.iter().copied()));
        if is_last {
            return Ok(taken);
        }
        begun = true;
    }
}
