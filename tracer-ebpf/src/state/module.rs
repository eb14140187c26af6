//! The files that a program's machine code is mapped from: they give the addresses of its stacks names,
//! even after the program has ended.

use aya_ebpf::{
    bindings::{pt_regs, task_struct},
    helpers::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs},
    macros::map,
    maps::RingBuf,
};
use tracer_common::{
    ABSENT,
    stack::{Module, NEVER},
};

use super::{counters, object};
use crate::kernel::{area, layout, option, read};

/// Modules in the order in which they came.
#[map]
static MODULES: RingBuf = RingBuf::with_byte_size(4096, 0);

const PAGE_SHIFT: u32 = 12;

/// The program that the current process begins to run.
#[inline(always)]
pub fn executed(process: u32) {
    if option!(stacks) == NEVER {
        return;
    }
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    let code = read::<u64>(task, layout!(task_memory))
        .and_then(|memory| read::<u64>(memory, layout!(memory_code)));
    match code {
        Some(code) => mapped(process, code),
        None => counters::lost(),
    }
    // It begins in its dynamic linker, if it has one.
    if let Some(start) = instruction_pointer() {
        mapped(process, start);
    }
}

/// Where the current process continues when it leaves the kernel.
#[inline(always)]
fn instruction_pointer() -> Option<u64> {
    if layout!(helper_task_pt_regs) == ABSENT {
        return None;
    }
    // SAFETY: the current task is alive.
    let regs = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) };
    read(regs as u64, core::mem::offset_of!(pt_regs, rip) as u32)
}

/// A child has its parent's mappings.
#[inline(always)]
pub fn forked(process: u32, parent: u32) {
    if option!(stacks) != NEVER {
        submit(Module { process, origin: parent, ..Module::default() });
    }
}

/// Machine code that the current process mapped at an address.
#[inline(never)]
pub fn mapped(process: u32, address: u64) {
    if option!(stacks) == NEVER {
        return;
    }
    let mut area = Area { start: 0, end: 0, offset: 0, file: 0 };
    // If it is not called, these addresses have no names.
    // SAFETY: `on_area` writes to `area` alone.
    unsafe { area::at(address, on_area as *mut core::ffi::c_void, &mut area) };
    let Area { start, end, offset, file } = area;
    if file != 0
        && let Some(origin) = object::of_mapping(file)
    {
        submit(Module { process, origin, start, end, offset });
    }
}

/// The fields read from a `vm_area_struct`.
#[derive(Clone, Copy)]
struct Area {
    start: u64,
    end: u64,
    offset: u64,
    file: u64,
}

unsafe extern "C" fn on_area(_: *mut task_struct, area: u64, found: *mut Area) -> i64 {
    let field = |offset: u32| read::<u64>(area, offset).unwrap_or(0);
    let said = Area {
        start: field(layout!(area_start)),
        end: field(layout!(area_end)),
        offset: field(layout!(area_offset)) << PAGE_SHIFT,
        file: field(layout!(area_file)),
    };
    // SAFETY: `mapped` passed it.
    unsafe { *found = said };
    0
}

#[inline(always)]
fn submit(module: Module) {
    match MODULES.reserve::<Module>(0) {
        Some(mut entry) => {
            entry.write(module);
            entry.submit(0);
        }
        None => counters::lost(),
    }
}
