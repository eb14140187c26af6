//! Ids of processes and objects. Each CPU gives out its own: the upper bits count, and the lower bits are
//! the number of the CPU.

/// The greatest one that a CPU gives out. Those above are for userspace to give out.
const GREATEST: u32 = u32::MAX >> 1;

/// The number of bits that tell this many CPUs apart.
pub const fn cpu_bits(cpus: u32) -> u32 {
    cpus.next_power_of_two().trailing_zeros()
}

/// The count of a CPU after `count`; never 0. It wraps after millions of ids: the more CPUs, the sooner.
#[inline(always)]
pub const fn next(count: u32, cpu_bits: u32) -> u32 {
    if count < GREATEST >> cpu_bits { count + 1 } else { 1 }
}

/// The id for a count and a CPU: never 0.
#[inline(always)]
pub const fn of(count: u32, cpu: u32, cpu_bits: u32) -> u32 {
    count << cpu_bits | cpu
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_cpus_give_out_the_same() {
        for cpus in [1, 2, 3, 4, 7, 64, 512, 513, 1024, 8192] {
            let bits = cpu_bits(cpus);
            let most = GREATEST >> bits;
            let mut ids = BTreeSet::new();
            for cpu in [0, 1, cpus / 2, cpus - 1].into_iter().filter(|cpu| *cpu < cpus) {
                let counts = [1, 2, most / 2, most - 1, most];
                ids.extend(counts.map(|count| (of(count, cpu, bits), count, cpu)));
            }
            let distinct: BTreeSet<u32> = ids.iter().map(|(id, ..)| *id).collect();
            assert_eq!(distinct.len(), ids.len(), "{cpus} CPUs");
            assert!(distinct.iter().all(|id| (1..=GREATEST).contains(id)), "{cpus} CPUs");
        }
    }

    #[test]
    fn the_last_count_is_followed_by_the_first() {
        assert_eq!(next(0, 10), 1);
        assert_eq!(next(7, 10), 8);
        assert_eq!(next(GREATEST >> 10, 10), 1);
        assert!(GREATEST >> cpu_bits(1024) > 2_000_000);
    }
}
