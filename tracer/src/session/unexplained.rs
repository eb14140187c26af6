//! Bytes that hardware breakpoints saw and no call site explains: their way is missing from the
//! catalogue.

use std::{collections::BTreeMap, fs};

use tracer_common::{Event, leaf};
use tracer_ledger::{Mover, Warning};

use super::{counts::Counts, movements::way_of};
use crate::{
    kernel::symbols::{Symbols, TABLE},
    witness::{Plan, catalogue::FUNCTIONS},
};

/// Length of the instruction that calls a routine.
const CALL: u64 = 5;

/// The number of a routine's callers that are named, if they have a hundredth of the bytes.
const NAMED: usize = 3;
const LEAST: i64 = 100;

/// Bytes of each copy routine. A call and its breakpoint are counted one after the other, so the bytes
/// can be negative in between.
#[derive(Debug, Default)]
pub struct Unexplained(BTreeMap<&'static str, Balance>);

/// The bytes of a routine, minus the explained ones.
#[derive(Debug, Default)]
struct Balance {
    bytes: i64,
    /// By the address that the routine returned to.
    callers: BTreeMap<u64, i64>,
}

impl Balance {
    fn add(&mut self, caller: Option<u64>, bytes: i64) {
        self.bytes += bytes;
        if let Some(caller) = caller {
            *self.callers.entry(caller).or_default() += bytes;
        }
    }
}

impl Unexplained {
    /// The unexplained bytes of these counts.
    pub fn of(counts: &Counts, plan: &Plan) -> Self {
        let mut all = Self::default();
        let copies = |kind: u8| {
            let kind = plan.iterator_kinds.get(&kind).copied();
            !matches!(kind, Some("ITER_PIPE" | "ITER_DISCARD"))
        };
        for (key, tally) in counts.of(Event::Leaf).filter(|(key, _)| copies(key.kind)) {
            if let Some(leaf) = plan.leaves.get(leaf::routine(key.detail)) {
                all.balance(leaf.symbol).add(Some(key.address), signed(tally.bytes));
            }
        }
        for (key, tally) in counts.of(Event::CopySite) {
            let Some(site) = plan.sites.iter().find(|site| site.address == key.address) else {
                continue;
            };
            // Bytes passed on by reference are copied by no routine.
            let is_copy = way_of(site, key, plan).is_some_and(|(.., by)| by == Mover::Cpu);
            if let Some(leaf) = plan.leaf_of(site.routine).filter(|_| is_copy) {
                all.balance(leaf.symbol).add(Some(site.address + CALL), -signed(tally.bytes));
            }
        }
        for (key, tally) in counts.of(Event::PacketCopy) {
            let witness = FUNCTIONS.iter().find(|it| it.function as u32 == key.detail);
            let symbol = witness.and_then(|witness| witness.leaf);
            if let Some(leaf) = plan.leaves.iter().find(|leaf| Some(leaf.symbol) == symbol) {
                all.balance(leaf.symbol).add(None, -signed(tally.bytes));
            }
        }
        all
    }

    fn balance(&mut self, routine: &'static str) -> &mut Balance {
        self.0.entry(routine).or_default()
    }

    /// Adds what was counted elsewhere, or later.
    pub fn add(&mut self, other: Self) {
        for (routine, theirs) in other.0 {
            let mine = self.balance(routine);
            mine.bytes += theirs.bytes;
            for (caller, bytes) in theirs.callers {
                *mine.callers.entry(caller).or_default() += bytes;
            }
        }
    }

    /// A warning for each routine: its bytes, and the main callers.
    pub fn warnings(&self, functions: &Functions) -> Vec<Warning> {
        let missing = self.0.iter().filter(|(_, balance)| balance.bytes > 0);
        let warning = |(routine, balance): (&&str, &Balance)| Warning::NoCallSite {
            bytes: balance.bytes.unsigned_abs(),
            routine: (*routine).to_owned(),
            callers: functions.names(&balance.callers, balance.bytes / LEAST),
        };
        missing.map(warning).collect()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Functions of the kernel, to tell callers by their names. They are read while the table may be.
#[derive(Debug, Default)]
pub struct Functions(Symbols);

impl Functions {
    /// Those of the running kernel; none if it hides them, or if nothing is verified.
    pub fn read(verify: bool) -> Self {
        if !verify {
            return Self::default();
        }
        let table = fs::read_to_string(TABLE).unwrap_or_default();
        Self(Symbols::parse(table, &std::iter::empty::<String>().collect()))
    }

    /// The callers with the most unexplained bytes, each more than `least`.
    fn names(&self, callers: &BTreeMap<u64, i64>, least: i64) -> Vec<String> {
        let mut functions: BTreeMap<String, i64> = BTreeMap::new();
        for (address, bytes) in callers {
            if let Some(function) = self.0.around(*address) {
                *functions.entry(function.name).or_default() += bytes;
            }
        }
        let mut functions: Vec<_> = functions.into_iter().filter(|it| it.1 > least).collect();
        functions.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        functions.truncate(NAMED);
        functions.into_iter().map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{Flow, Key, Stacks, Tally, leaf::detail};

    use super::*;
    use crate::witness::Tier;

    fn key(event: Event, kind: u8, detail: u32, address: u64) -> Key {
        let (event, stacks) = (event as u8, Stacks::NONE);
        Key {
            event,
            epoch: 0,
            kind,
            unused: 0,
            detail,
            address,
            flow: Flow::NONE,
            stacks,
            cpu: 0,
            padding: 0,
        }
    }

    #[test]
    fn what_no_call_site_explains_is_told_with_its_caller() {
        let plan = Plan::resolve(&crate::witness::recorded("debian-6.12"), Tier::Kprobe).unwrap();
        let leaf = plan.leaves.iter().find(|leaf| leaf.symbol == "_copy_from_iter").unwrap();
        let site = plan.sites.iter().find(|site| site.caller == "tcp_sendmsg_locked").unwrap();
        let (ubuf, _) = plan.iterator_kinds.iter().find(|(_, it)| **it == "ITER_UBUF").unwrap();
        let entered = |caller| key(Event::Leaf, *ubuf, detail(leaf.site.routine, 0), caller);
        let mut counts = Counts::new(true);
        counts.add(key(Event::CopySite, *ubuf, 0, site.address), Tally::new(9000, 1));
        counts.add(entered(site.address + CALL), Tally::new(9000, 1));
        let table = "1000 t known\n2000 t stranger\n3000 t last\n".to_owned();
        let functions = Functions(Symbols::parse(table, &std::iter::empty::<String>().collect()));
        let mut all = Unexplained::of(&counts, &plan);
        assert!(all.warnings(&functions).is_empty());

        let mut later = Counts::new(true);
        later.add(entered(0x2010), Tally::new(4096, 1));
        all.add(Unexplained::of(&later, &plan));
        let warning = |callers| Warning::NoCallSite {
            bytes: 4096,
            routine: "_copy_from_iter".to_owned(),
            callers,
        };
        assert_eq!(all.warnings(&functions), [warning(vec!["stranger".to_owned()])]);
        assert_eq!(all.warnings(&Functions::default()), [warning(Vec::new())]);
    }
}
