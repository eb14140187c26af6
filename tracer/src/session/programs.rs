//! The programs of a plan, for a purpose.

use super::{object, purpose::Purpose, wanted::Wanted};
use crate::witness::{
    Plan,
    catalogue::{Need, TracepointWitness},
};

/// The program at the kernel's copy routines.
pub const ROUTINE: &str = "leaf_breakpoint";
/// The program at the stubs of Java virtual machines.
pub const STUB: &str = "jvm_copy";

/// The tracepoints that are needed for a purpose.
pub fn tracepoints(plan: &Plan, purpose: Purpose) -> Vec<&'static TracepointWitness> {
    let (for_flows, wanted) = match purpose {
        Purpose::Windows => (false, Wanted::default()),
        Purpose::Flows { wanted, .. } => (true, wanted),
    };
    let is_needed = |witness: &&TracepointWitness| match witness.need {
        Need::ForFlows => for_flows,
        Need::ForCgroups => wanted.cgroup.is_some(),
        Need::ForSignals => wanted.signals,
        Need::Always | Need::Usually | Need::WithoutCallSites | Need::WithFunctions => true,
    };
    plan.tracepoints.iter().copied().filter(is_needed).collect()
}

/// The programs that a plan needs, with those of `breakpoints`.
pub fn wanted(
    plan: &Plan,
    purpose: Purpose,
    tracepoints: &[&'static TracepointWitness],
    breakpoints: &[&'static str],
) -> Vec<object::Wanted> {
    let program = |program| object::Wanted { program, function: None };
    let sites = (!plan.sites.is_empty()).then_some("copy_site");
    let user = (purpose == Purpose::Windows).then_some("user_copy");
    let functions = plan.probes.iter().flat_map(|probe| {
        probe.programs.iter().map(|program| object::Wanted { program, function: probe.btf_id })
    });
    tracepoints
        .iter()
        .flat_map(|witness| witness.programs(plan))
        .chain(sites)
        .chain(breakpoints.iter().copied())
        .chain(user)
        .map(program)
        .chain(functions)
        .collect()
}
