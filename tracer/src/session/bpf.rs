//! The system call `bpf`, for commands that aya has no function for.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// Makes the call `command`, and returns its result.
///
/// # Safety
/// The memory that `attr` points to has the length that the command requires, and outlives the call.
pub unsafe fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: the attributes are as long as said; the caller answers for what they point to.
    let status = unsafe {
        let size = size_of::<bpf_attr>();
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size)
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status as i32) }
}

/// Makes a call that returns a new descriptor.
///
/// # Safety
/// As for [`call`]; and the command returns a descriptor.
pub unsafe fn open(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it; nobody else owns the new descriptor.
    unsafe { call(command, attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Loads a program.
///
/// # Safety
/// As for [`call`].
pub unsafe fn load(attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it; this command returns a descriptor.
    patiently(|| unsafe { open(bpf_cmd::BPF_PROG_LOAD, attr) })
}

/// Repeats a load that a signal interrupted: the verifier gives up at any signal.
fn patiently<T>(mut load: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const ATTEMPTS: usize = 5;
    for _ in 1..ATTEMPTS {
        match load() {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            done => return done,
        }
    }
    load()
}

/// Writes an element of a map.
///
/// # Safety
/// Key and value are as long as the map's.
pub unsafe fn update(map: BorrowedFd<'_>, key: *const u8, value: *const u8) -> io::Result<()> {
    // SAFETY: all zeros is valid.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: these are the fields of this command.
    let element = unsafe { &mut attr.__bindgen_anon_2 };
    element.map_fd = map.as_raw_fd() as u32;
    element.key = key as u64;
    element.__bindgen_anon_1.value = value as u64;
    // SAFETY: the caller answers for key and value, which outlive the call.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
}

/// Attaches a program of a raw tracepoint by the tracepoint's name; one of fentry or fexit, which was
/// loaded for a function, without a name.
pub fn attach(program: BorrowedFd<'_>, tracepoint: Option<&CStr>) -> io::Result<OwnedFd> {
    // SAFETY: all zeros is valid.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    attr.raw_tracepoint.name = tracepoint.map_or(0, |name| name.as_ptr() as u64);
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    // SAFETY: the name ends with a 0 and outlives the call, which returns a descriptor.
    unsafe { open(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_reason_to_give_up() {
        let mut left = 3;
        let mut load = |error| {
            left -= 1;
            if left == 0 { Ok(7) } else { Err(io::Error::from_raw_os_error(error)) }
        };
        assert_eq!(patiently(|| load(libc::EAGAIN)).ok(), Some(7));
        left = 3;
        let mut load = |error| -> io::Result<()> {
            left -= 1;
            Err(io::Error::from_raw_os_error(error))
        };
        assert!(patiently(|| load(libc::EPERM)).is_err());
        assert_eq!(left, 2, "what is forbidden is asked for once");
    }
}
