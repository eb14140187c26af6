//! The properties of the machine that matter for speed.

use std::{arch::x86_64::__cpuid, fs, thread};

use tracer_ledger::Warning;

/// The CPUID leaf with the hypervisor's signature.
const HYPERVISOR_LEAF: u32 = 0x4000_0000;
/// Bit of `ecx` in leaf 1: there is a hypervisor.
const HYPERVISOR_BIT: u32 = 1 << 31;
/// The signature of QEMU where it emulates every instruction.
const EMULATOR: &str = "TCGTCGTCGTCG";

/// A hypervisor's signature, such as `KVMKVMKVM`; none where the processor names none.
pub fn hypervisor() -> Option<String> {
    if __cpuid(1).ecx & HYPERVISOR_BIT == 0 {
        return None;
    }
    let leaf = __cpuid(HYPERVISOR_LEAF);
    let bytes = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat();
    let name = String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
    Some(if name.is_empty() { "unnamed".to_owned() } else { name })
}

/// Whether that hypervisor emulates every instruction.
pub fn is_emulated(hypervisor: Option<&str>) -> bool {
    hypervisor == Some(EMULATOR)
}

/// The processor's name.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown processor").to_owned()
}

/// The number of CPUs this process may run on.
pub fn cpus() -> u64 {
    thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// How many processes ran or waited for a disk in the last minute, on average.
pub fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// A word on what else the machine was doing until now, if it was busy: a load of half its CPUs.
pub fn busy() -> Option<Warning> {
    let load = load()?;
    (load > cpus() as f64 / 2.0).then(|| Warning::MachineBusy { load, cpus: cpus() })
}
