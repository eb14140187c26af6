//! Pages of memory: their size, and memory with all pages present.

/// Bytes of a page of memory on this machine.
pub fn size() -> usize {
    // SAFETY: the call only reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Memory for one message, already present: a write to it takes no page fault.
pub fn touched_buffer(bytes: usize) -> Vec<u8> {
    // Not zeros: the allocator would get zeroed pages from the kernel without touching them.
    vec![1; bytes]
}
