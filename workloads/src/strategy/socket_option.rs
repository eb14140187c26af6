//! Socket options that no library here supports.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Sets an option; `value` has the type that the kernel's header gives.
pub fn set<T: ?Sized>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of_val(value) as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `length` bytes, which `value` has.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
