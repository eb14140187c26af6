//! Hardware breakpoints: a CPU has four, so that they are used for one thing at a time.

use super::{
    Session,
    attach::{self, Link},
    error::SessionError,
    programs::{ROUTINE, STUB},
    refusal::Refusal,
};

/// What they are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakpoints {
    /// Nothing.
    Unused,
    /// To check the probes: on the kernel's copy routines.
    OnCopyRoutines,
    /// To see the copies that Java virtual machines make in their memory: on their stubs.
    OnStubs,
}

impl Breakpoints {
    /// What options ask for, of which one excludes the other.
    pub fn asked(verify: bool, jvm_copies: bool) -> Self {
        match (verify, jvm_copies) {
            (true, _) => Self::OnCopyRoutines,
            (false, true) => Self::OnStubs,
            (false, false) => Self::Unused,
        }
    }

    /// The programs that run there.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Unused => &[],
            Self::OnCopyRoutines => &[ROUTINE],
            Self::OnStubs => &[STUB],
        }
    }
}

impl Session {
    /// Those that check the probes.
    pub(super) fn attach_breakpoints(&mut self) -> Result<(), SessionError> {
        let mut links = Vec::new();
        for leaf in &self.plan.leaves {
            let attached = self.on_every_cpu(ROUTINE, leaf.address)?;
            links.extend(attached.map_err(|error| SessionError::Attach {
                target: format!("a hardware breakpoint on {}", leaf.symbol),
                error: error.and("--verify needs four free breakpoints a CPU"),
            })?);
        }
        self.links.extend(links);
        Ok(())
    }

    /// A program at an address on every CPU, for whoever runs there; or what the kernel says.
    pub(super) fn on_every_cpu(
        &self,
        program: &str,
        address: u64,
    ) -> Result<Result<Vec<Link>, Refusal>, SessionError> {
        let program = self.program(program)?;
        let cpus = aya::util::online_cpus().map_err(|(what, error)| SessionError::Attach {
            target: what.to_owned(),
            error: error.into(),
        })?;
        let on = |cpu| attach::at_breakpoint(program, address, cpu).map(Link::event);
        Ok(cpus.into_iter().map(on).collect::<Result<_, _>>().map_err(Refusal::from))
    }
}
