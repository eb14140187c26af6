//! Deliveries with probes: the broker is traced like any running program.

use std::{pin::pin, time::Duration};

use anyhow::{Context, bail};
use tokio::time::sleep;
use tracer::{
    naming::Names,
    session::{Breakpoints, Functions, Jvm, Purpose, Session, Sight, Start, Unexplained, Wanted},
};
use tracer_ledger::{
    Warning,
    flows::{self, Detail, derive::Witnesses},
    report::{
        brokers::{Counted, ProgramDelivery, ProgramRounds},
        flows::Environment,
    },
};

use super::{Delivery, Options, client::Messages, running::Running};
use crate::cli::{
    kernel::{Kernel, TierChoice, location},
    machine, memory,
};

/// The interval of reading the kernel's counters: there is limited room for objects.
const TICK: Duration = Duration::from_millis(200);

/// State shared by all traced deliveries.
pub struct Tracing<'a> {
    kernel: &'a Kernel,
    tier: TierChoice,
    breakpoints: Breakpoints,
    purpose: Purpose,
    names: Names,
    witnesses: Witnesses,
    environment: Environment,
    unexplained: Unexplained,
    warnings: Vec<Warning>,
}

impl<'a> Tracing<'a> {
    /// Examines what can be seen.
    pub fn new(kernel: &'a Kernel, options: &Options) -> anyhow::Result<Self> {
        let tier = options.common.tier;
        let breakpoints = Breakpoints::asked(options.common.verify, options.jvm_copies);
        let (detail, wanted) = (Detail::Process, Wanted::default());
        let purpose = Purpose::Flows { detail, stacks: false, wanted, scarcity: 1 };
        let (purpose, warning) = memory::fit(purpose, kernel.facts.allocation())?;
        let environment = Environment {
            kernel: kernel.facts.release.clone(),
            where_: location(),
            tier: kernel.plan(tier)?.tier,
            cycles: false,
            emulated: machine::is_emulated(machine::hypervisor().as_deref()),
        };
        Ok(Self {
            kernel,
            tier,
            breakpoints,
            purpose,
            names: Names::new(),
            witnesses: Witnesses { copies: false, references: false },
            environment,
            unexplained: Unexplained::default(),
            warnings: warning.into_iter().collect(),
        })
    }

    /// Attaches to the kernel, until the session is dropped.
    pub fn attach(&mut self) -> anyhow::Result<Session> {
        let session = Session::start(self.kernel.plan(self.tier)?, self.purpose, self.breakpoints)?;
        self.witnesses = session.witnesses();
        for warning in session.unseen() {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(session)
    }

    /// Makes a delivery, and counts what the broker does.
    pub async fn delivery(
        &mut self,
        session: &mut Session,
        running: &mut Running,
        messages: &Messages,
    ) -> anyhow::Result<Counted> {
        let (pid, title) = (running.pid(), running.program.title);
        let followed = session.follow(pid, Start::Now)?;
        followed.with_context(|| format!("{title} ended before it could be traced"))?;
        if self.counts_jvm_copies() {
            inside(&session.look_for_jvms()?, title)?;
        }
        let mut counted = Counted::default();
        let done = {
            let mut delivery = pin!(running.consume(messages));
            loop {
                tokio::select! {
                    done = &mut delivery => break done?,
                    () = sleep(TICK) => self.take(session, &mut counted)?,
                }
            }
        };
        session.close()?;
        self.take(session, &mut counted)?;
        Ok(Counted { messages: done.messages, log_bytes: done.log_bytes, ..counted })
    }

    fn counts_jvm_copies(&self) -> bool {
        self.breakpoints == Breakpoints::OnStubs
    }

    fn take(&mut self, session: &mut Session, counted: &mut Counted) -> anyhow::Result<()> {
        let taken = session.take_flows(&mut self.names)?;
        for (flow, traffic) in taken.ledger {
            flows::add(&mut counted.ledger, flow, &traffic);
        }
        counted.lost_events += taken.lost;
        self.unexplained.add(taken.unexplained);
        Ok(())
    }

    /// The report's row for a delivery.
    pub fn row(&self, delivery: Delivery<'_>, running: &[Running]) -> ProgramDelivery {
        let Running { program, version, .. } = &running[delivery.of];
        ProgramDelivery::new(ProgramRounds {
            program: program.name,
            version,
            setting: delivery.setting.name,
            message_bytes: delivery.messages.bytes,
            timed: &delivery.timed,
            counted: &delivery.counted,
            witnesses: self.witnesses,
            environment: &self.environment,
            jvm_copies: self.counts_jvm_copies(),
        })
    }

    /// The warnings about all deliveries.
    pub fn warnings(self) -> Vec<Warning> {
        let Self { mut warnings, unexplained, breakpoints, .. } = self;
        let verify = breakpoints == Breakpoints::OnCopyRoutines;
        warnings.extend(unexplained.warnings(&Functions::read(verify)));
        warnings
    }
}

/// Whether copies inside the broker's virtual machine, the only process that is traced, are counted now.
fn inside(found: &[Jvm], title: &str) -> anyhow::Result<()> {
    match found {
        [Jvm { sight: Sight::FromTheBeginning, .. }] => Ok(()),
        [Jvm { sight: Sight::Nothing(reason), .. }] => {
            bail!("cannot count the copies inside {title}: {reason}; run without --jvm-copies")
        }
        _ => bail!("{title} is run by no HotSpot; run without --jvm-copies"),
    }
}
