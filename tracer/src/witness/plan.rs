//! The catalogue resolved against one kernel: what a session will attach.

use std::collections::BTreeMap;

use tracer_common::{ABSENT, Layout, NO_ITERATOR, Site};
use tracer_ledger::Tier;

use super::{
    catalogue::{
        CALLERS, Candidate, FUNCTIONS, FunctionWitness, LEAVES, LeafRoutine, Need, PREEMPTION,
        Routine, SITES_NEED, TASK_ITERATOR, TRACEPOINTS, TracepointWitness,
    },
    layout::{self, Subject, Unknown},
    questions::ITERATOR_KINDS,
    sites::{self, CallSite},
};
use crate::kernel::{Allocation, Facts};

/// A function to probe, and the programs for it.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The catalogue's row.
    pub witness: &'static FunctionWitness,
    /// The symbol this kernel has.
    pub symbol: &'static str,
    /// The eBPF programs of the tier, in the order to attach them.
    pub programs: Vec<&'static str>,
    /// The function's id in the kernel's BTF, if it is entered by that.
    pub btf_id: Option<u32>,
}

/// A routine for a hardware breakpoint.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its name.
    pub symbol: &'static str,
    /// Its first instruction.
    pub address: u64,
    /// The place of its arguments.
    pub site: Site,
}

/// A witness this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The witness.
    pub witness: String,
    /// Why not, and what follows.
    pub reason: String,
}

/// The plan of a session: everything it will attach.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tier.
    pub tier: Tier,
    /// Offsets and enumerators for the programs.
    pub layout: Layout,
    /// Raw tracepoints.
    pub tracepoints: Vec<&'static TracepointWitness>,
    /// Probes of functions.
    pub probes: Vec<Probe>,
    /// Calls to copy routines. Empty: copies are derived.
    pub sites: Vec<CallSite>,
    /// Routines for hardware breakpoints, under `--verify`.
    pub leaves: Vec<Leaf>,
    /// Names of `enum iter_type` by value.
    pub iterator_kinds: BTreeMap<u8, &'static str>,
    /// The function of an iterator over tasks: its id in the kernel's BTF.
    pub task_iterator: Option<u32>,
    /// The ids of [`PREEMPTION`] in the kernel's BTF, if it has both, and programs can be put off their CPU.
    pub preemption: Option<[u32; 2]>,
    /// When maps must allocate their entries.
    pub allocation: Allocation,
    /// Of what this kernel's types do not tell enough.
    pub unknown: Vec<Unknown>,
    /// Features that this kernel lacks.
    pub missing: Vec<Missing>,
}

/// Why nothing can be measured on this kernel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A tracepoint nothing can stand in for.
    #[error("this kernel has no tracepoint {0} ({1})")]
    Tracepoint(&'static str, &'static str),
}

impl Plan {
    /// Resolves the catalogue for `tier` against what is known of a kernel.
    pub fn resolve(facts: &Facts, tier: Tier) -> Result<Self, PlanError> {
        let (layout, unknown) = layout::resolve(facts);
        let mut plan = Self {
            tier,
            layout,
            tracepoints: Vec::new(),
            probes: Vec::new(),
            sites: Vec::new(),
            leaves: leaves(facts),
            iterator_kinds: iterator_kinds(facts),
            task_iterator: facts.functions.get(TASK_ITERATOR).copied(),
            preemption: preemption(facts).filter(|_| layout.tracepoint_faultable != ABSENT),
            allocation: facts.allocation(),
            unknown,
            missing: Vec::new(),
        };
        if tier != Tier::Tracepoint {
            plan.resolve_functions(facts);
            plan.resolve_sites(facts);
        }
        plan.resolve_tracepoints(facts)?;
        Ok(plan)
    }

    /// Whether this kernel's types tell all of a subject that the programs ask.
    pub fn knows(&self, subject: Subject) -> bool {
        self.unknown.iter().all(|unknown| unknown.subject != subject)
    }

    /// The breakpoint that sees the copies of a routine.
    pub fn leaf_of(&self, routine: &Routine) -> Option<&Leaf> {
        let leaf = |name: &&str| self.leaves.iter().find(|leaf| leaf.symbol == *name);
        routine.leaves.iter().find_map(leaf)
    }

    /// Why a witness that needs these subjects cannot be had.
    fn refusal(&self, needs: &[Subject]) -> Option<String> {
        self.unknown.iter().find(|unknown| needs.contains(&unknown.subject)).map(Unknown::reason)
    }

    fn resolve_functions(&mut self, facts: &Facts) {
        let tier = usize::from(self.tier == Tier::Fentry);
        for witness in FUNCTIONS {
            // What is entered by name needs no address.
            let hidden = facts.symbols.is_empty();
            let known = |candidate: &&Candidate| {
                let in_types = facts.functions.contains_key(candidate.symbol);
                let in_symbols = hidden || facts.symbols.contains_key(candidate.symbol);
                in_symbols && (in_types || (self.tier == Tier::Kprobe && !hidden))
            };
            let candidate = witness.candidates.iter().find(known);
            match (candidate, self.refusal(witness.needs)) {
                (Some(candidate), None) => {
                    let programs = candidate.entry.into_iter().chain([witness.programs]);
                    self.probes.push(Probe {
                        witness,
                        symbol: candidate.symbol,
                        programs: programs.map(|of_tier| of_tier[tier]).collect(),
                        btf_id: facts
                            .functions
                            .get(candidate.symbol)
                            .copied()
                            .filter(|_| self.tier == Tier::Fentry),
                    });
                }
                (_, refusal) => self.missing.push(Missing {
                    witness: symbols(witness).join(" or "),
                    reason: refusal
                        .unwrap_or_else(|| "this kernel has no such function".to_owned()),
                }),
            }
        }
    }

    fn resolve_sites(&mut self, facts: &Facts) {
        if let Some(error) = self.refusal(SITES_NEED).or_else(|| facts.text_error.clone()) {
            self.missing.push(Missing {
                witness: "call sites of the copy routines".to_owned(),
                reason: format!("{error}; CPU copies are derived"),
            });
            return;
        }
        self.sites = sites::all(facts);
        let searched = |name| facts.texts.iter().any(|text| text.caller == name);
        let found = |name| self.sites.iter().any(|site| site.caller == name);
        self.missing.extend(CALLERS.iter().filter(|caller| !found(caller.name)).map(|caller| {
            Missing {
                witness: caller.name.to_owned(),
                reason: match searched(caller.name) {
                    true => "it calls no copy routine on this kernel",
                    false => "this kernel has no such function",
                }
                .to_owned(),
            }
        }));
    }

    fn resolve_tracepoints(&mut self, facts: &Facts) -> Result<(), PlanError> {
        for witness in TRACEPOINTS {
            let wanted = match witness.need {
                Need::Always
                | Need::Usually
                | Need::ForFlows
                | Need::ForCgroups
                | Need::ForSignals => true,
                Need::WithoutCallSites => self.sites.is_empty(),
                Need::WithFunctions => !self.probes.is_empty() || !self.sites.is_empty(),
            };
            if !wanted {
                continue;
            }
            let refusal = match facts.tracepoints.contains_key(witness.name) {
                true => self.refusal(witness.needs),
                false => Some("this kernel has no such tracepoint".to_owned()),
            };
            match refusal {
                None => self.tracepoints.push(witness),
                Some(_) if witness.need == Need::Always => {
                    return Err(PlanError::Tracepoint(witness.name, witness.sees));
                }
                Some(reason) => {
                    self.missing.push(Missing { witness: witness.name.to_owned(), reason });
                }
            }
        }
        Ok(())
    }
}

/// The names a function may have.
fn symbols(witness: &FunctionWitness) -> Vec<&'static str> {
    witness.candidates.iter().map(|candidate| candidate.symbol).collect()
}

fn leaves(facts: &Facts) -> Vec<Leaf> {
    let found = |LeafRoutine { symbol, count, iterator, from_iterator }: &LeafRoutine| {
        let address = *facts.symbols.get(*symbol)?;
        Some((*symbol, address, site(*count, *iterator, *from_iterator)))
    };
    let all = LEAVES.iter().filter_map(|candidates| candidates.iter().find_map(found));
    let leaf = |((symbol, address, site), routine)| Leaf {
        symbol,
        address,
        site: Site { routine, ..site },
    };
    all.zip(0..).map(leaf).collect()
}

/// The description of a copy site for the programs. A routine without an iterator has a packet as its
/// first argument, and its copy belongs to the packet's socket.
pub(crate) fn site(count: u8, iterator: u8, from_iterator: bool) -> Site {
    Site {
        count_argument: count,
        iterator_argument: iterator,
        from_iterator: u8::from(from_iterator),
        by_socket: u8::from(iterator == NO_ITERATOR),
        routine: 0,
        padding: [0; 3],
    }
}

fn preemption(facts: &Facts) -> Option<[u32; 2]> {
    let [disable, enable] = PREEMPTION.map(|function| facts.functions.get(function).copied());
    Some([disable?, enable?])
}

fn iterator_kinds(facts: &Facts) -> BTreeMap<u8, &'static str> {
    ITERATOR_KINDS
        .iter()
        .filter_map(|name| Some((*facts.enumerators.get(*name)? as u8, *name)))
        .collect()
}
