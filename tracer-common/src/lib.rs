//! What crosses the boundary between userspace and the eBPF programs, and nothing else.
//!
//! Every type is `repr(C)` without undefined bytes: padding is a named field.
#![no_std]

/// The window marker: a `prctl` whose option no kernel knows.
///
/// The kernel answers `EINVAL` and does nothing; the syscall tracepoint sees it on the way in.
/// The marker itself is never counted.
pub mod marker {
    /// First argument of the `prctl` ("ctrc").
    pub const OPTION: u32 = 0x6374_7263;
    /// Second argument: open the window; the third argument is the socket's file descriptor, or -1.
    pub const OPEN: u64 = 1;
    /// Second argument: close the window.
    pub const CLOSE: u64 = 2;
}
