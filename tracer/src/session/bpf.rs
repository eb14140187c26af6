//! The system call `bpf`, for what aya has no function for.

use std::io;

use aya_obj::generated::bpf_attr;

/// Makes the call `command`, one of `bpf_cmd`.
///
/// # Safety
/// What `attr` points to is as long as the command has it, and outlives the call.
pub unsafe fn call(command: u32, attr: &mut bpf_attr) -> io::Result<()> {
    // SAFETY: the attributes are as long as said; the caller answers for what they point to.
    let status = unsafe {
        let size = size_of::<bpf_attr>();
        libc::syscall(libc::SYS_bpf, libc::c_long::from(command), std::ptr::from_mut(attr), size)
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
