//! The size of a page.

/// Bytes of a page of memory on this machine.
pub fn size() -> usize {
    // SAFETY: the call only reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}
