//! A session: the programs in the kernel, the processes they count for, and what they counted.

mod attach;
mod batch;
mod bpf;
mod breakpoints;
mod collect;
mod constants;
mod counters;
mod counts;
mod diagnostics;
mod error;
mod fill;
pub mod flows;
mod follow;
mod jvms;
mod mapped;
mod maps;
mod memory;
mod misses;
mod movements;
mod numbers;
mod object;
mod probes;
mod programs;
mod purpose;
mod refusal;
mod room;
pub mod stacks;
mod stubs;
mod traffic;
pub mod trial;
mod unexplained;
mod unseen;
mod verifier;
mod wanted;

use std::{thread::JoinHandle, time::Instant};

use attach::Link;
use counters::Counters;
use jvms::Jvms;
use numbers::Numbers;
use object::Object;
use stubs::Stubs;
use tracer_common::Options;

pub use breakpoints::Breakpoints;
pub use counts::Counts;
pub use error::SessionError;
pub use follow::Start;
pub use jvms::Sight;
pub use memory::Memory;
pub use object::Cost;
pub use purpose::Purpose;
pub use refusal::Refusal;
pub use room::{memory, memory_of_a_cpu};
pub use stubs::Jvm;
pub use traffic::sighting;
pub use unexplained::{Functions, Unexplained};
pub use verifier::costs;
pub use wanted::{Comm, Wanted, cgroup_id};

use crate::witness::Plan;

/// Whether this process runs in a PID namespace, where processes outside are invisible.
pub fn in_pid_namespace() -> bool {
    numbers::namespace().is_ok_and(|namespace| namespace.is_some())
}

/// Programs attached to the kernel. Dropping it detaches them.
pub struct Session {
    object: Object,
    plan: Plan,
    links: Vec<Link>,
    /// The thread that waits for the kernel to detach, once nothing is counted any more.
    detaching: Option<JoinHandle<()>>,
    verify: bool,
    breakpoints: Breakpoints,
    /// Looked for among the traced processes.
    jvms: Jvms,
    /// Of those whose copies are counted.
    stubs: Stubs,
    purpose: Purpose,
    options: Options,
    /// Lost events that were reported already.
    lost: u64,
    /// The number of processes that were given an id here.
    followed: u32,
    /// In a PID namespace.
    numbers: Option<Numbers>,
    /// Calls to copy routines that refused a probe.
    refused: Vec<String>,
}

impl Session {
    /// Loads the programs a plan names and attaches them; those of `breakpoints`, too.
    pub fn start(
        plan: Plan,
        purpose: Purpose,
        breakpoints: Breakpoints,
    ) -> Result<Self, SessionError> {
        let verify = breakpoints == Breakpoints::OnCopyRoutines;
        let cycles = match purpose {
            Purpose::Windows => Counters::none(),
            Purpose::Flows { .. } => Counters::of_cycles(),
        };
        let options = constants::options(&plan, purpose, &cycles)?;
        let start = Instant::now();
        let room = room::room(purpose, room::cpus()?, plan.allocation);
        let setup = constants::setup(&plan, &options, &room);
        let tracepoints = programs::tracepoints(&plan, purpose);
        let mut wanted = programs::wanted(&plan, purpose, &tracepoints, breakpoints.programs());
        if options.namespace != 0 {
            wanted.push(object::Wanted { program: numbers::PROGRAM, function: plan.task_iterator });
        }
        let object = Object::load(&setup, &wanted)?;
        let loaded = start.elapsed();
        let mut session = Self {
            object,
            plan,
            links: Vec::new(),
            detaching: None,
            verify,
            breakpoints,
            jvms: Jvms::default(),
            stubs: Stubs::default(),
            purpose,
            options,
            lost: 0,
            followed: 0,
            numbers: None,
            refused: Vec::new(),
        };
        session.fill_numbers()?;
        session.fill_sites()?;
        session.fill_counters(cycles)?;
        session.attach_sites()?;
        session.attach_functions()?;
        if verify {
            session.attach_breakpoints()?;
        }
        session.attach_tracepoints(&tracepoints)?;
        log::info!(
            "attached {} call sites, {} functions and {} tracepoints in {:?}, of which {loaded:?} \
             to load the programs",
            session.plan.sites.len(),
            session.plan.probes.len(),
            tracepoints.len(),
            start.elapsed()
        );
        Ok(session)
    }

    /// The attached programs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the processor's cycles are counted.
    pub fn counts_cycles(&self) -> bool {
        self.options.cycles != 0
    }

    /// Passes the programs' messages on to the log. Needs a tokio runtime.
    pub fn log(&mut self) -> Result<(), SessionError> {
        diagnostics::forward(&self.object)
    }
}
