//! The running kernel as the verbs see it: its facts, the probes that it permits, and the tier.

use std::time::Instant;

use anyhow::{Context, bail};
use tracer::{
    kernel::Facts,
    session::trial::{self, Trial, Trying},
    witness::{Breadth, Plan, Tier},
};
use tracer_ledger::report::Where;

use super::rights;

/// The tier that the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TierChoice {
    /// The best this kernel offers
    Auto,
    /// Functions by fentry and fexit, copies at the call sites of the copy routines
    Fentry,
    /// Functions by kprobes, copies at the same call sites
    Kprobe,
    /// Tracepoints only: CPU copies are derived
    Tracepoint,
}

/// The range in which to look for copies.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Sites {
    /// Probe the calls to copy routines in the whole kernel, and not only on the known ways: an unknown
    /// way shows up by the name of the function that copies
    #[arg(long)]
    all_copy_sites: bool,
}

impl Sites {
    /// The breadth of the search.
    pub fn breadth(self) -> Breadth {
        if self.all_copy_sites { Breadth::Everywhere } else { Breadth::Catalogue }
    }
}

/// The guest's set-up marks it as one.
pub fn location() -> Where {
    match std::env::var("COPYTRACE_WHERE").as_deref() {
        Ok("vm") => Where::Vm,
        _ => Where::Host,
    }
}

/// The facts of the running kernel.
pub struct Kernel {
    /// Answers to the catalogue's questions.
    pub facts: Facts,
    /// The probes that can be attached.
    pub trial: Trial,
}

impl Kernel {
    /// Asks the running kernel, which must take eBPF programs.
    pub fn examine(breadth: Breadth) -> anyhow::Result<Self> {
        let kernel = Self::look(breadth)?;
        if let Err(reason) = &kernel.trial.tracepoint {
            let reason = rights::advise(reason.clone());
            return Err(reason).context("cannot use eBPF on this kernel");
        }
        Ok(kernel)
    }

    /// Asks the running kernel.
    pub fn look(breadth: Breadth) -> anyhow::Result<Self> {
        let start = Instant::now();
        let mut trying = None;
        let facts = Facts::gather(breadth, |facts| {
            trying = Some(Trying::start(facts.functions.get(trial::FUNCTION).copied()));
        });
        let mut facts = facts.context("cannot find out what this kernel offers")?;
        let trial = trying.context("nothing is known of this kernel's types")?.finish();
        log::info!("read types, symbols and text of the kernel in {:?}", start.elapsed());
        if let Err(reason) = &trial.kprobe {
            facts.without_sites(format!("kprobes: {reason}"));
        }
        Ok(Self { facts, trial })
    }

    /// Whether hardware breakpoints are available.
    pub fn breakpoint(&self) -> trial::Answer {
        trial::breakpoint(self.facts.symbols.get(trial::FUNCTION).copied())
    }

    /// Likewise, if they are wanted.
    pub fn check_verify(&self, wanted: bool) -> anyhow::Result<()> {
        if wanted && let Err(reason) = self.breakpoint() {
            bail!("there are no hardware breakpoints to be had ({reason}): run without --verify");
        }
        Ok(())
    }

    /// Whether there are those that `--jvm-copies` takes, if it is wanted.
    pub fn check_jvm_copies(wanted: bool) -> anyhow::Result<()> {
        if wanted && let Err(reason) = trial::breakpoint_in_program() {
            bail!(
                "there are no hardware breakpoints to be had in programs ({reason}): run without \
                 --jvm-copies"
            );
        }
        Ok(())
    }

    /// The best tier this kernel offers.
    pub fn best_tier(&self) -> Tier {
        match (&self.trial.fentry, &self.trial.kprobe) {
            (Ok(()), _) => Tier::Fentry,
            (Err(_), Ok(())) => Tier::Kprobe,
            (Err(_), Err(_)) => Tier::Tracepoint,
        }
    }

    /// The plan for the tier the user chose.
    pub fn plan(&self, choice: TierChoice) -> anyhow::Result<Plan> {
        let tier = match choice {
            TierChoice::Auto => self.best_tier(),
            TierChoice::Fentry => self.require(Tier::Fentry, &self.trial.fentry)?,
            TierChoice::Kprobe => self.require(Tier::Kprobe, &self.trial.kprobe)?,
            TierChoice::Tracepoint => Tier::Tracepoint,
        };
        let start = Instant::now();
        let plan = Plan::resolve(&self.facts, tier)?;
        log::info!("resolved the catalogue in {:?}", start.elapsed());
        Ok(plan)
    }

    fn require(&self, tier: Tier, trial: &trial::Answer) -> anyhow::Result<Tier> {
        match trial {
            Ok(()) => Ok(tier),
            Err(reason) => bail!(
                "this kernel refuses the {tier} tier ({reason}); `--tier auto` takes {}, and \
                 `cargo xtask run --on vm` measures in a guest",
                self.best_tier()
            ),
        }
    }
}
