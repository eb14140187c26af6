//! The marker that opens and closes the measuring window: see [`tracer_common::marker`].

use std::os::fd::{AsRawFd, BorrowedFd};

use tracer_common::marker;

/// Opens the window; `socket`: the socket whose packets are counted for the process, if there is one. In
/// an open window, adds that socket.
pub fn open(socket: Option<BorrowedFd<'_>>) {
    mark(marker::OPEN, socket.map_or(-1, |socket| i64::from(socket.as_raw_fd())));
}

/// Closes the window.
pub fn close() {
    mark(marker::CLOSE, -1);
}

/// Exactly one system call. Its error is expected: no kernel knows the option.
fn mark(what: u64, fd: i64) {
    // SAFETY: the kernel refuses the option before it looks at the other arguments.
    unsafe { libc::syscall(libc::SYS_prctl, i64::from(marker::OPTION), what, fd, 0_u64, 0_u64) };
}
