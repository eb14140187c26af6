//! The kernel's memory for the maps, as computed by `map_mem_usage` of each kind of map (`kernel/bpf`,
//! from Linux 6.4 on, which shows it in `/proc/PID/fdinfo`). It is charged to the control group of the
//! process that made them.

use std::ops::AddAssign;

use aya_obj::generated::bpf_map_type::{
    self, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
    BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_STACK_TRACE,
};
use tracer_common::ON_DEMAND;

/// Memory of maps in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// When the maps are created.
    pub at_rest: u64,
    /// When they are full: with tens of thousands of processes, connections and files at once.
    pub at_most: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.at_rest += other.at_rest;
        self.at_most += other.at_most;
    }
}

/// The properties of a map that its memory depends on.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// A [`bpf_map_type`].
    pub kind: u32,
    /// Bytes of a key.
    pub key: u32,
    /// Bytes of a value.
    pub value: u32,
    /// Entries, or bytes of a ring.
    pub entries: u32,
    /// Such as [`ON_DEMAND`].
    pub flags: u32,
}

/// `struct bucket` and `struct htab_elem` of `kernel/bpf/hashtab.c`, and `struct stack_map_bucket` with
/// the pointer to it.
const BUCKET: u64 = 16;
const ELEMENT: u64 = 48;
const STACK: u64 = 32;
const POINTER: u64 = 8;

impl Memory {
    /// Of a map, with so many CPUs.
    pub fn of(shape: Shape, cpus: u64) -> Self {
        let round = |bytes: u32| u64::from(bytes).next_multiple_of(8);
        let (key, value) = (round(shape.key), round(shape.value));
        let entries = u64::from(shape.entries);
        let buckets = entries.next_power_of_two() * BUCKET;
        let is = |kind: bpf_map_type| shape.kind == kind as u32;
        let fixed = |at_rest| Self { at_rest, at_most: at_rest };
        if is(BPF_MAP_TYPE_HASH) || is(BPF_MAP_TYPE_LRU_HASH) {
            let at_most = buckets + entries * (ELEMENT + key + value);
            let at_rest = if shape.flags & ON_DEMAND == 0 { at_most } else { buckets };
            Self { at_rest, at_most }
        } else if is(BPF_MAP_TYPE_PERCPU_HASH) {
            fixed(buckets + entries * (ELEMENT + key + POINTER + value * cpus))
        } else if is(BPF_MAP_TYPE_PERCPU_ARRAY) {
            fixed(entries * (POINTER + value * cpus))
        } else if is(BPF_MAP_TYPE_STACK_TRACE) {
            fixed(entries * (STACK + value))
        } else if is(BPF_MAP_TYPE_ARRAY) || is(BPF_MAP_TYPE_RINGBUF) {
            fixed(entries * value.max(1))
        } else {
            Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of Linux 6.18 for maps like these on two CPUs, up to a kilobyte or two for the map
    /// itself.
    #[test]
    fn maps_take_what_the_kernel_says() {
        let shape = |kind: bpf_map_type, key, value, entries, flags| Shape {
            kind: kind as u32,
            key,
            value,
            entries,
            flags,
        };
        for (shape, said) in [
            (shape(BPF_MAP_TYPE_HASH, 40, 32, 131_072, ON_DEMAND), 2_098_048),
            (shape(BPF_MAP_TYPE_HASH, 8, 8, 4096, 0), 328_720),
            (shape(BPF_MAP_TYPE_LRU_HASH, 24, 4, 65_536, 0), 6_292_352),
            (shape(BPF_MAP_TYPE_LRU_HASH, 4, 464, 20_480, 0), 11_174_784),
            (shape(BPF_MAP_TYPE_PERCPU_HASH, 40, 32, 512, 0), 91_008),
        ] {
            let at_rest = Memory::of(shape, 2).at_rest;
            assert!(said - at_rest < 2048, "{shape:?}: {at_rest}, and not {said}");
        }
    }

    #[test]
    fn what_is_allocated_on_demand_counts_when_it_is_full() {
        let kind = BPF_MAP_TYPE_HASH as u32;
        let shape = Shape { kind, key: 4, value: 8, entries: 1000, flags: ON_DEMAND };
        let memory = Memory::of(shape, 2);
        assert_eq!(memory, Memory { at_rest: 16_384, at_most: 16_384 + 1000 * 64 });
        assert_eq!(Memory::of(Shape { flags: 0, ..shape }, 2).at_rest, memory.at_most);
    }
}
