//! The eBPF programs of copytrace: one file a kernel subsystem.
//!
//! Everything is counted here, in per-CPU maps. A program that fires for a process or a socket
//! that is not traced leaves at once.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "a key that is passed by value is copied to a stack of 512 bytes"
)]

mod block;
mod cipher;
mod clock;
mod copy;
mod count;
mod fault;
mod flow;
mod io_uring;
mod iterator;
mod kernel;
mod mapping;
mod module;
mod netdev;
mod number;
mod object;
mod packet;
mod page;
mod preemption;
mod process;
mod sched;
mod signal;
mod socket;
mod stack;
mod syscall;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers are for programs under a GPL-compatible licence only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
