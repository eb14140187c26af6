//! The processor's own counters of cycles, where it has them.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::maps::Map;
use aya_obj::generated::{perf_hw_id::PERF_COUNT_HW_CPU_CYCLES, perf_type_id::PERF_TYPE_HARDWARE};

use super::{attach, bpf};

/// A counter for each CPU, by its number.
pub struct Counters(Vec<(u32, OwnedFd)>);

impl Counters {
    /// No counters.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of cycles. None where a CPU has none: a virtual machine often hides them.
    pub fn of_cycles() -> Self {
        let mut attr = attach::attributes(PERF_TYPE_HARDWARE as u32);
        attr.config = PERF_COUNT_HW_CPU_CYCLES as u64;
        let cpus = aya::util::online_cpus().unwrap_or_default();
        let counters = cpus.into_iter().map(|cpu| Ok((cpu, attach::open(&mut attr, cpu as i32)?)));
        match counters.collect::<std::io::Result<Vec<_>>>() {
            Ok(counters) => Self(counters),
            Err(error) => {
                log::info!("cycles are not counted: perf_event_open says {error}");
                Self::none()
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts them into a map of the programs.
    pub fn put_into(&self, map: &Map) -> std::io::Result<()> {
        let Map::PerfEventArray(map) = map else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        self.0.iter().try_for_each(|(cpu, event)| {
            let event = event.as_raw_fd();
            let (key, value) = (std::ptr::from_ref(cpu), &raw const event);
            // SAFETY: such a map has descriptors under the numbers of CPUs, both of four bytes.
            unsafe { bpf::update(map.fd().as_fd(), key.cast(), value.cast()) }
        })
    }

    /// Their descriptors: counting ends when they are closed.
    pub fn into_events(self) -> impl Iterator<Item = OwnedFd> {
        self.0.into_iter().map(|(_, event)| event)
    }
}
