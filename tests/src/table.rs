//! The table of checks: the kernels and tiers in which each is made.

use xtask::KernelVersion;

use crate::check::{Check, Tier};
use crate::checks::{
    bad_use, brokers, detail, documents, expect, flows, further, jvm, made_code, manners, nginx,
    page, postgres, programs, python, real_brokers, redis, screen, soak, speed, together, unseen,
};

/// The kernel of guests on which everything is tested.
pub const MAIN_KERNEL: KernelVersion = KernelVersion::USUAL;

/// The other kernels: a few checks.
pub const OTHER_KERNELS: [KernelVersion; 3] = KernelVersion::OTHERS;

/// The one of them on which everything is tested with `--all`. The oldest lacks features that some checks
/// need, and the newest may preempt a program and lose an event, which copytrace reports.
pub const WHOLE_WITH_ALL: KernelVersion = KernelVersion::Series(6, 1);

const NOWHERE: &[Tier] = &[];
const TRACEPOINT: &[Tier] = &[Tier::Tracepoint];
const KPROBE: &[Tier] = &[Tier::Kprobe];
const FENTRY: &[Tier] = &[Tier::Fentry];
const FUNCTIONS: &[Tier] = &[Tier::Kprobe, Tier::Fentry];
const EVERY: &[Tier] = &[Tier::Kprobe, Tier::Fentry, Tier::Tracepoint];

/// The places of some checks.
pub struct Row {
    /// The checks.
    pub checks: &'static [Check],
    /// The tiers on this machine's own kernel, which has tracepoints only.
    pub host: &'static [Tier],
    /// The tiers on [`MAIN_KERNEL`]; with `--all` also on [`WHOLE_WITH_ALL`].
    pub guests: &'static [Tier],
    /// The tiers on the remaining [`OTHER_KERNELS`].
    pub others: &'static [Tier],
}

const fn row(
    checks: &'static [Check],
    host: &'static [Tier],
    guests: &'static [Tier],
    others: &'static [Tier],
) -> Row {
    Row { checks, host, guests, others }
}

/// All checks. Those that take longest come first: then all cores have something to do to the end.
/// What programs of others and more than one copytrace show of a kernel does not depend on how its
/// functions are entered.
pub const ROWS: [Row; 36] = [
    row(&soak::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&further::CHECKS, NOWHERE, FUNCTIONS, NOWHERE),
    row(&further::DERIVED, NOWHERE, TRACEPOINT, NOWHERE),
    row(&further::TO_DUMMY, NOWHERE, EVERY, NOWHERE),
    row(&documents::EVERYWHERE, NOWHERE, FUNCTIONS, FUNCTIONS),
    row(&documents::EXACT, TRACEPOINT, FUNCTIONS, FUNCTIONS),
    row(&documents::DRAWN, TRACEPOINT, FUNCTIONS, NOWHERE),
    row(&screen::GUEST_CHECKS, NOWHERE, FENTRY, NOWHERE),
    row(&screen::LESSON_CHECKS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&page::CHECKS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&documents::CONDITIONS, NOWHERE, FUNCTIONS, NOWHERE),
    row(&speed::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&documents::WITHOUT_FUNCTIONS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&real_brokers::CHECKS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&brokers::CHECKS, TRACEPOINT, FUNCTIONS, NOWHERE),
    row(&bad_use::CHECKS, NOWHERE, KPROBE, NOWHERE),
    row(&together::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&manners::COMMAND, TRACEPOINT, KPROBE, NOWHERE),
    row(&manners::ON_ANY_KERNEL, TRACEPOINT, NOWHERE, NOWHERE),
    row(&manners::READERS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&manners::FILES, TRACEPOINT, KPROBE, NOWHERE),
    row(&manners::TARGETS, TRACEPOINT, KPROBE, NOWHERE),
    row(&manners::RIGHTS, TRACEPOINT, KPROBE, NOWHERE),
    row(&made_code::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&jvm::CHECKS, TRACEPOINT, NOWHERE, NOWHERE),
    row(&postgres::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&redis::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&python::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&programs::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&unseen::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&expect::CHECKS, TRACEPOINT, KPROBE, NOWHERE),
    row(&flows::ALL_SITES, NOWHERE, FUNCTIONS, NOWHERE),
    row(&flows::PROCESSES, TRACEPOINT, FUNCTIONS, NOWHERE),
    row(&nginx::CHECKS, TRACEPOINT, FUNCTIONS, NOWHERE),
    row(&flows::CHECKS, TRACEPOINT, FUNCTIONS, NOWHERE),
    row(&detail::CHECKS, TRACEPOINT, FUNCTIONS, NOWHERE),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_stands_for_one_check() {
        let mut names = BTreeSet::new();
        for check in ROWS.iter().flat_map(|row| row.checks) {
            assert!(names.insert(check.name), "{}", check.name);
        }
    }
}
