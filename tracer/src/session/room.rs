//! The room of the maps, and their memory.

use tracer_common::stack;
use tracer_ledger::flows::Detail;

use super::{
    error::{SessionError, map_error},
    memory::Memory,
    object::{self, Room},
    purpose::Purpose,
};
use crate::kernel::Allocation;

/// The room for stacks, in entries, and for mappings, in bytes.
const ROOM_FOR_STACKS: &[(&str, u32)] =
    &[("STACKS_EVEN", stack::MOST), ("STACKS_ODD", stack::MOST), ("MODULES", 1 << 20)];

/// The room for [`Purpose::Flows`], in entries.
const ROOM: &[(&str, u32)] = &[
    ("TASKS", 32_768),
    ("SOCKETS", 65_536),
    ("SENDERS", 65_536),
    ("CURRENT", 65_536),
    ("LAST_READS", 32_768),
    ("IDENTITIES", 32_768),
    ("OBJECTS", 20_480),
    ("PROCESSES", 32_768),
];

/// And for [`Purpose::Windows`].
const ROOM_FOR_WINDOWS: &[(&str, u32)] = &[
    ("CURRENT", 4096),
    ("LAST_READS", 1024),
    ("IDENTITIES", 4096),
    ("OBJECTS", 4096),
    ("PROCESSES", 1024),
];

/// And where threads are told apart.
const ROOM_FOR_THREADS: &[(&str, u32)] = &[("THREADS", 65_536)];

/// The counters of each epoch. The room grows with the number of CPUs, up to a limit: no program runs on
/// very many.
const COUNTERS: [&str; 2] = ["COUNTS_EVEN", "COUNTS_ODD"];
const COUNTERS_OF_A_CPU: usize = 65_536;
const FEW_CPUS: usize = 8;

/// The room for counters with this number of CPUs.
fn room_for_counters(cpus: usize) -> u32 {
    (COUNTERS_OF_A_CPU * cpus.min(FEW_CPUS)) as u32
}

/// The divisor of the room where all entries are allocated beforehand.
const SCARCITY: u32 = 4;

/// The room of the maps with this number of CPUs.
pub fn room(purpose: Purpose, cpus: usize, allocation: Allocation) -> Room {
    let Purpose::Flows { detail, stacks, scarcity, .. } = purpose else {
        return Room { entries: ROOM_FOR_WINDOWS.iter().copied().collect(), allocation };
    };
    let counters = COUNTERS.map(|map| (map, room_for_counters(cpus)));
    let threads = if detail == Detail::Thread { ROOM_FOR_THREADS } else { &[] };
    let plentiful = counters.into_iter().chain(ROOM.iter().chain(threads).copied());
    let divisor = match allocation {
        Allocation::OnDemand => scarcity,
        Allocation::Beforehand => SCARCITY * scarcity,
    };
    let stacks = if stacks { ROOM_FOR_STACKS } else { &[] };
    let entries = plentiful.map(|(map, entries)| (map, entries / divisor));
    Room { entries: entries.chain(stacks.iter().copied()).collect(), allocation }
}

/// The memory of the maps with the CPUs of this machine.
pub fn memory(purpose: Purpose, allocation: Allocation) -> Result<Memory, SessionError> {
    let cpus = cpus()?;
    object::memory(&room(purpose, cpus, allocation), cpus)
}

/// The additional memory of each further CPU at rest, in bytes, if there were twice as many.
pub fn memory_of_a_cpu(purpose: Purpose, allocation: Allocation) -> Result<u64, SessionError> {
    let cpus = cpus()?;
    let at_rest = |cpus| object::memory(&room(purpose, cpus, allocation), cpus);
    Ok((at_rest(2 * cpus)?.at_rest - at_rest(cpus)?.at_rest) / cpus as u64)
}

/// The number of possible CPUs.
pub fn cpus() -> Result<usize, SessionError> {
    aya::util::nr_cpus().map_err(|(path, error)| map_error(path, error))
}
