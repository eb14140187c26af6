//! The constants of the programs, set when they are loaded.

use tracer_common::{ABSENT, Options, flow, id, stack};
use tracer_ledger::flows::Detail;

use super::{
    counters::Counters,
    error::SessionError,
    numbers,
    object::{Room, Setup},
    purpose::Purpose,
    room::cpus,
};
use crate::witness::Plan;

/// The options of the programs, for this purpose.
pub fn options(plan: &Plan, purpose: Purpose, cycles: &Counters) -> Result<Options, SessionError> {
    let of_any = Options {
        twins: u32::from(plan.preemption.is_some()),
        namespace: numbers::namespace().map_err(SessionError::Numbers)?.unwrap_or(0),
        cpu_bits: id::cpu_bits(cpus()? as u32),
        ..Options::default()
    };
    let Purpose::Flows { detail, stacks, wanted, .. } = purpose else {
        return Ok(Options { windows: 1, ..of_any });
    };
    let detail = match detail {
        Detail::Process => flow::Detail::PROCESSES,
        Detail::Thread => flow::Detail::THREADS,
        Detail::Descriptor => flow::Detail::DESCRIPTORS,
    };
    let stacks = match stacks {
        false => stack::NEVER,
        true if plan.sites.is_empty() => stack::AT_CALLS,
        true => stack::AT_COPIES,
    };
    Ok(Options {
        stacks,
        detail,
        times: 1,
        cycles: u32::from(!cycles.is_empty()),
        skip_virtual: u32::from(plan.sites.is_empty() && plan.probes.is_empty()),
        comm: wanted.comm.map_or([0; 4], |comm| comm.words()),
        cgroup: wanted.cgroup.map_or([0; 2], |id| [id as u32, (id >> 32) as u32]),
        all: u32::from(wanted.all),
        ..of_any
    })
}

/// The set-up that the object is loaded with.
pub fn setup<'a>(plan: &'a Plan, options: &'a Options, room: &'a Room) -> Setup<'a> {
    Setup {
        globals: [("LAYOUT", bytes_of(&plan.layout)), ("OPTIONS", bytes_of(options))],
        room,
        without_callbacks: plan.layout.helper_find_vma == ABSENT,
        preemption: plan.preemption,
    }
}

/// The bytes of a constant for the programs.
fn bytes_of<T: aya::Pod>(value: &T) -> &[u8] {
    // SAFETY: it has as many bytes, all of them defined, as `Pod` promises.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}
