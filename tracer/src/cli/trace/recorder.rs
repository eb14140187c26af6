//! The record of a traced program: the kernel's counters, by name, summed up.

use std::time::{Duration, Instant};

use tracer::{
    kernel::Allocation,
    naming::Names,
    session::{Breakpoints, Functions, Purpose, Session, Start, Unexplained, Wanted},
};
use tracer_ledger::{
    Warning,
    flows::{self, Detail, Ledger, UNKNOWN, derive::Witnesses},
    report::{
        Origin,
        flows::{Environment, Recording, Total},
    },
};

use super::{
    Options,
    jvms::Jvms,
    privileges::{self, Needs},
    stacks::StackRecorder,
};
use crate::cli::{
    kernel::{Kernel, location},
    machine, memory, say,
};

/// Flows that are told apart; beyond them connections and processes of one name are folded.
const MOST_FLOWS: usize = 100_000;

/// The interval of reading the kernel's counters, in ms, if reading is fast and no report is due before.
pub const TICK_MS: u64 = 200;
const TICK: Duration = Duration::from_millis(TICK_MS);

/// The traced programs need the CPU too.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Collects the session's counts.
pub struct Recorder {
    session: Session,
    names: Names,
    ledger: Ledger,
    /// The stacks of copies, if they are asked for.
    stacks: Option<StackRecorder>,
    origin: Origin,
    environment: Environment,
    witnesses: Witnesses,
    started: Instant,
    detail: Detail,
    lost: u64,
    warnings: Vec<Warning>,
    jvms: Jvms,
    /// Bytes that breakpoints saw and call sites did not.
    unexplained: Unexplained,
    /// Functions of the kernel, to name the callers.
    functions: Functions,
    /// Whether counting has failed and stopped.
    failed: bool,
    /// The interval of reading counters.
    tick: Duration,
    /// The duration of the last reading.
    took: Duration,
}

impl Recorder {
    /// Attaches to the kernel; nothing is counted yet, except for programs that are traced from their
    /// start.
    pub fn start(
        options: &Options,
        wanted: Wanted,
        origin: Origin,
        verbose: bool,
    ) -> anyhow::Result<Self> {
        let (detail, stacks) = (options.per().detail(), options.takes_stacks());
        let purpose = Purpose::Flows { detail, stacks, wanted, scarcity: 1 };
        // Before anything else: examining the kernel takes memory too.
        let mut fitted = memory::fit(purpose, Allocation::OnDemand)?;
        let kernel = Kernel::examine(options.sites.breadth())?;
        if kernel.facts.allocation() == Allocation::Beforehand {
            fitted = memory::fit(purpose, Allocation::Beforehand)?;
        }
        let (purpose, warning) = fitted;
        if let Some(warning) = warning {
            say(&format!("copytrace: {warning}"));
        }
        kernel.check_verify(options.verify)?;
        Kernel::check_jvm_copies(options.jvm_copies)?;
        let plan = kernel.plan(options.tier)?;
        let tier = plan.tier;
        let breakpoints = Breakpoints::asked(options.verify, options.jvm_copies);
        let mut session = Session::start(plan, purpose, breakpoints)?;
        let witnesses = session.witnesses();
        if verbose {
            session.log()?;
        }
        let warnings = session.unseen();
        let environment = Environment {
            kernel: kernel.facts.release,
            where_: location(),
            tier,
            cycles: session.counts_cycles(),
            emulated: machine::is_emulated(machine::hypervisor().as_deref()),
        };
        Ok(Self {
            session,
            names: Names::new(),
            ledger: Ledger::new(),
            stacks: options.takes_stacks().then(StackRecorder::default),
            origin,
            environment,
            witnesses,
            started: Instant::now(),
            detail: options.per().detail(),
            lost: 0,
            warnings,
            jvms: Jvms::new(options.jvm_copies),
            unexplained: Unexplained::default(),
            functions: Functions::read(options.verify),
            failed: false,
            tick: options.interval.map_or(TICK, |interval| interval.min(TICK)),
            took: Duration::ZERO,
        })
    }

    /// Drops the capabilities that counting, naming and writing do not need. `files`: a result goes to a
    /// file; `command`: a command was started, and gets signals passed on.
    pub fn give_up_privileges(&mut self, files: bool, command: bool) {
        let breakpoints = self.jvms.are_asked_for();
        let needs = Needs { stacks: self.stacks.is_some(), files, command, breakpoints };
        privileges::give_up(needs, || self.session.can_be_read());
    }

    /// The number of processes traced now; none if unknown.
    pub fn followed(&mut self) -> usize {
        self.session.followed().map_or(0, |processes| processes.len())
    }

    /// The session, to add processes to.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Traces a running process and all its children; false if it has ended.
    pub fn follow(&mut self, pid: u32) -> anyhow::Result<bool> {
        let process = self.session.follow(pid, Start::Now)?;
        if let (Some(process), Some(stacks)) = (process, &mut self.stacks) {
            stacks.attached(process, pid);
        }
        Ok(process.is_some())
    }

    /// How long to wait for the next tick: the longer the last one took, the shorter, for there is
    /// room for so many counters and objects only; nor is it long while a virtual machine may begin.
    pub fn pause(&self) -> Duration {
        if self.session.awaits_jvm() {
            return SHORTEST_PAUSE;
        }
        self.tick.saturating_sub(self.took).max(SHORTEST_PAUSE)
    }

    /// Ends tracing, and takes the last counts.
    pub fn finish(&mut self) {
        if let Err(error) = self.session.unfollow() {
            self.give_up(&error.into());
        }
        self.session.detach();
        self.tick();
    }

    /// Takes the counts since the last reading. If that fails, counting stops, and the report says so.
    pub fn tick(&mut self) {
        if !self.failed
            && let Err(error) = self.take()
        {
            self.give_up(&error);
        }
    }

    /// Whether counting has stopped.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    fn give_up(&mut self, error: &anyhow::Error) {
        self.failed = true;
        let warning = Warning::CountingEnded { error: format!("{error:#}") };
        say(&format!("copytrace: {warning}"));
        self.warnings.push(warning);
    }

    /// Adds a warning to the report.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// Looks for Java virtual machines among the traced processes, and counts what they copy if that is
    /// asked for.
    pub fn look_for_jvms(&mut self) -> anyhow::Result<&Jvms> {
        self.jvms.extend(self.session.look_for_jvms()?);
        Ok(&self.jvms)
    }

    fn take(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        self.look_for_jvms()?;
        let taken = self.session.take_flows(&mut self.names)?;
        self.lost += taken.lost;
        for (flow, traffic) in taken.ledger {
            flows::add(&mut self.ledger, flow, &traffic);
        }
        self.unexplained.add(taken.unexplained);
        if let Some(stacks) = &mut self.stacks {
            stacks.learn(&taken.modules, &mut self.names);
            stacks.add(taken.samples, &mut self.names, self.session.plan());
        }
        if self.ledger.len() > MOST_FLOWS {
            self.fold();
        }
        self.took = start.elapsed();
        log::debug!("it took {:?} to take the counters and to name their flows", self.took);
        Ok(())
    }

    fn fold(&mut self) {
        self.ledger = flows::group::fold(std::mem::take(&mut self.ledger));
        if !self.warnings.contains(&Warning::FlowsAdded) {
            self.warnings.push(Warning::FlowsAdded);
        }
    }

    /// The total until now.
    pub fn total(&self) -> Total {
        Total::of(&flows::settle(self.ledger.clone(), self.witnesses))
    }

    /// The recording until now. `target`: the traced target, in words.
    pub fn recording(&self, target: &str) -> Recording {
        let duration = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (environment, ledger) = (self.environment.clone(), self.ledger.clone());
        let mut recording =
            Recording::new(environment, target.to_owned(), duration, ledger, self.witnesses);
        recording.origin = Some(self.origin.clone());
        recording.detail = self.detail;
        recording.lost_events = self.lost;
        recording.is_cut_short = self.failed;
        recording.warnings = self.warnings.clone();
        recording.warnings.extend(self.unexplained.warnings(&self.functions));
        recording.warnings.extend(self.jvms.warnings());
        recording.warnings.extend(unnamed(&recording.ledger));
        recording.warnings.extend(in_no_flow(&recording.ledger));
        recording.stacks = self.stacks.as_ref().map(|stacks| stacks.stacks().clone());
        recording.warnings.extend(self.stacks.as_ref().and_then(StackRecorder::warning));
        recording
    }
}

/// Payload of some flows, in bytes.
fn payload(ledger: &Ledger, of: impl Fn(&flows::Flow) -> bool) -> u64 {
    let flows = ledger.iter().filter(|(flow, _)| of(flow));
    flows.map(|(_, traffic)| traffic.payload_bytes).sum()
}

/// A warning about payload in no flow, if there is any.
fn in_no_flow(ledger: &Ledger) -> Option<Warning> {
    let bytes = payload(ledger, |flow| !flow.is_data());
    (bytes > 0).then_some(Warning::InNoFlow { bytes })
}

/// A warning about flows without names, if there are any.
fn unnamed(ledger: &Ledger) -> Option<Warning> {
    let is_unknown = |flow: &flows::Flow| {
        let ends = flow.source.iter().chain([&flow.destination]);
        flow.process.name == UNKNOWN || ends.into_iter().any(|end| end.name == UNKNOWN)
    };
    let bytes = payload(ledger, is_unknown);
    (bytes > 0).then_some(Warning::Unnamed { bytes })
}
