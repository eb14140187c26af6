//! The kernel's information on a program: its id, its length, and the events it could not run it for.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, bpf_insn, bpf_prog_info};

use super::bpf;

/// The kernel's information on a program.
fn info(program: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    // SAFETY: all zeros is valid for both.
    let (mut info, mut attr) =
        unsafe { (mem::zeroed::<bpf_prog_info>(), mem::zeroed::<bpf_attr>()) };
    attr.info.bpf_fd = program.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    attr.info.info = &raw mut info as u64;
    // SAFETY: the kernel writes at most `info_len` bytes to `info`, which outlives the call.
    unsafe { bpf::call(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }.map(|_| info)
}

/// The id by which the kernel knows a program.
pub fn id(program: BorrowedFd<'_>) -> io::Result<u32> {
    info(program).map(|info| info.id)
}

/// The number of times the kernel skipped a program because another one ran on the same CPU
/// (`recursion_misses` of `struct bpf_prog_info`; for kprobes, counted from 6.7 on). None if the kernel
/// does not say.
pub fn of_program(program: BorrowedFd<'_>) -> Option<u64> {
    info(program).ok().map(|info| info.recursion_misses)
}

/// The number of instructions of a program after the verifier's changes.
pub fn instructions(program: BorrowedFd<'_>) -> io::Result<u64> {
    info(program).map(|info| u64::from(info.xlated_prog_len) / size_of::<bpf_insn>() as u64)
}
