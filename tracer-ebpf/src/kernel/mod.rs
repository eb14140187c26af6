//! Reading the kernel's own structures, by the offsets that userspace took from BTF.

pub mod area;
pub mod iterator;
pub mod number;
pub mod packet;
pub mod page;
pub mod syscall;

use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user};
use tracer_common::{ABSENT, Layout, Options, stack};

/// Set by userspace before the programs are loaded.
#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout::UNKNOWN;

/// Set by userspace, likewise.
#[unsafe(no_mangle)]
static OPTIONS: Options = Options {
    stacks: stack::NEVER,
    detail: 0,
    times: 0,
    cycles: 0,
    skip_virtual: 0,
    comm: [0; 4],
    cgroup: [0; 2],
    all: 0,
    windows: 0,
    twins: 0,
    namespace: 0,
    cpu_bits: 0,
};

/// The value of `field` in the options. The verifier knows it, and removes code for options that are off.
macro_rules! option {
    ($field:ident) => {
        $crate::kernel::option_field(|options| &raw const options.$field)
    };
}
pub(crate) use option;

#[inline(always)]
pub fn option_field(field: impl Fn(&'static Options) -> *const u32) -> u32 {
    // SAFETY: as in `layout_field`.
    unsafe { core::ptr::read_volatile(field(&OPTIONS)) }
}

/// The running kernel's offset or enumerator `field`.
macro_rules! layout {
    ($field:ident) => {
        $crate::kernel::layout_field(|layout| &raw const layout.$field)
    };
}
pub(crate) use layout;

#[inline(always)]
pub fn layout_field(field: impl Fn(&'static Layout) -> *const u32) -> u32 {
    // SAFETY: the pointer comes from a reference to a static. The read is volatile because
    // userspace replaces the value after compilation.
    unsafe { core::ptr::read_volatile(field(&LAYOUT)) }
}

/// Reads a `T` at `base + offset` in kernel memory. A bad address, or a field that this kernel does not
/// have, reads as `None`; nothing faults.
#[inline(always)]
pub fn read<T: Copy>(base: u64, offset: u32) -> Option<T> {
    // The verifier knows the offset, and leaves out one of the two branches.
    if offset == ABSENT {
        return None;
    }
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.ok()
}

/// Loads a `T` at `base + offset` of a structure whose type the verifier knows: it needs no helper. A
/// bad address loads as zeros, and never faults.
///
/// # Safety
/// The verifier knows `base` to be a pointer to a structure of the kernel.
#[inline(always)]
pub unsafe fn load<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: the verifier checks the offset, and makes the load one that may fail.
    unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
}

/// Reads a `T` at `base + offset` in the current process's memory. A bad address reads as `None`.
#[inline(always)]
pub fn read_user<T: Copy>(base: u64, offset: u32) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user((base + u64::from(offset)) as *const T) }.ok()
}
