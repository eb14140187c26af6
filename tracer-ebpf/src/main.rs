//! The eBPF programs of copytrace, in three layers: reading kernel structures (`kernel`), state in maps
//! (`state`), and the programs (`probes`). Each layer uses only those before it.
//!
//! Everything is counted here, in per-CPU maps. A program that runs for a process or a socket that is not
//! traced returns at once.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "a key that is passed by value is copied to a stack of 512 bytes"
)]

mod kernel;
mod probes;
mod state;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers are reserved for programs under a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
