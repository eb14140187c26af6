//! The cost of a plan's programs in the kernel's verifier.

use super::{
    constants,
    counters::Counters,
    error::SessionError,
    object::{self, Cost},
    programs,
    purpose::Purpose,
    room::{cpus, room},
};
use crate::witness::Plan;

/// The cost of a plan's programs, including those of hardware breakpoints. They are unloaded at once.
pub fn costs(plan: &Plan, purpose: Purpose) -> Result<Vec<Cost>, SessionError> {
    let options = constants::options(plan, purpose, &Counters::of_cycles())?;
    let room = room(purpose, cpus()?, plan.allocation);
    let programs = programs::wanted(
        plan,
        purpose,
        &programs::tracepoints(plan, purpose),
        &[programs::ROUTINE, programs::STUB],
    );
    object::costs(&constants::setup(plan, &options, &room), &programs)
}
