//! What the programs cost the kernel's verifier that a plan needs.

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

/// What the programs cost that a plan needs, those of hardware breakpoints among them. They are taken
/// out of the kernel at once.
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
