//! What a traced program did so far: the kernel's counters, by name, summed up.

use std::time::Instant;

use tracer::{
    flows::{self, Ledger, derive::Witnesses},
    report::flows::{Environment, Recording},
    session::{Purpose, Session, flows::observe, names::Names},
    witness::Plan,
};

use super::Options;
use crate::cli::kernel::{Kernel, location};

/// Flows that are kept apart; beyond them connections and processes of one name become one.
const MOST_FLOWS: usize = 50_000;

/// Collects what the session counts.
pub struct Recorder {
    session: Session,
    names: Names,
    ledger: Ledger,
    environment: Environment,
    witnesses: Witnesses,
    started: Instant,
    lost: u64,
    warnings: Vec<String>,
}

impl Recorder {
    /// Attaches to the kernel; nothing is counted yet.
    pub fn start(options: &Options, verbose: bool) -> anyhow::Result<Self> {
        let kernel = Kernel::examine(options.sites.breadth())?;
        kernel.check_verify(options.verify)?;
        let plan = kernel.plan(options.tier)?;
        let environment = Environment {
            kernel: kernel.facts.release.clone(),
            where_: location(),
            tier: plan.tier,
        };
        let witnesses = witnesses(&plan);
        let mut session = Session::start(plan, Purpose::Flows, options.verify)?;
        if verbose {
            session.log()?;
        }
        Ok(Self {
            session,
            names: Names::new(),
            ledger: Ledger::new(),
            environment,
            witnesses,
            started: Instant::now(),
            lost: 0,
            warnings: Vec::new(),
        })
    }

    /// Where processes are added.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Takes what was counted since the last time.
    pub fn tick(&mut self) -> anyhow::Result<()> {
        let counts = self.session.drain()?;
        self.lost += counts.lost;
        let by_flow = counts.by_flow();
        let unknown = self.names.unknown(by_flow.keys().copied());
        let (processes, objects) = self.session.describe(&unknown)?;
        self.names.learn(processes, objects);
        for (flow, counts) in by_flow {
            let traffic = observe(&counts, self.session.plan());
            flows::add(&mut self.ledger, self.names.flow(flow), &traffic);
        }
        if self.ledger.len() > MOST_FLOWS {
            self.fold();
        }
        Ok(())
    }

    fn fold(&mut self) {
        self.ledger = flows::group::fold(std::mem::take(&mut self.ledger));
        let text = "more flows than can be kept apart: connections, and processes of one name, \
                    were added up";
        if !self.warnings.iter().any(|warning| warning == text) {
            self.warnings.push(text.to_owned());
        }
    }

    /// All until now.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// All until now, as a recording. `target`: what was traced, in words.
    pub fn recording(&self, target: &str) -> Recording {
        let duration = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (environment, ledger) = (self.environment.clone(), self.ledger.clone());
        let mut recording =
            Recording::new(environment, target.to_owned(), duration, ledger, self.witnesses);
        recording.lost_events = self.lost;
        recording.warnings = self.warnings.clone();
        recording
    }
}

fn witnesses(plan: &Plan) -> Witnesses {
    Witnesses { copies: !plan.sites.is_empty(), references: !plan.probes.is_empty() }
}
