//! The run: a session, a payload, a consumer, and one sender after the other.

use std::{collections::BTreeSet, path::Path};

use anyhow::bail;
use tracer::{
    naming::Names,
    session::{Functions, Session, Start},
};
use tracer_ledger::{
    Observation, Side, Warning, WarningRow,
    claims::documents,
    flows::trial::{Trial, observe},
    report::{Environment, Outcome, Payload, Report},
};
use workloads::{
    Cache, DUMMY_DEVICE, Receiver, STRATEGIES, Shape, Strategy,
    driver::{Consumer, Sender, SenderSpec},
};

use super::{
    options::{ALL, Setting, Target},
    timing::{self, Timing},
};
use crate::cli::{
    bundled::{self, SELF, network::Link, nic::Nic},
    kernel::{Kernel, location},
    machine, origin,
    progress::Progress,
};

/// The measurement to make.
pub struct Request<'a> {
    /// The names of strategies; the textbook's if there are none.
    pub strategies: &'a [String],
    /// The number of messages that each strategy sends.
    pub messages: u64,
    /// How many rounds without probes each makes.
    pub rounds: u64,
    /// What is sent, and where to.
    pub setting: &'a Setting,
    /// The common options of the measurement.
    pub common: &'a bundled::Options,
}

/// Measures every strategy the user chose.
pub async fn measure(request: &Request<'_>, verbose: bool) -> anyhow::Result<Report> {
    let Request { common, setting, .. } = *request;
    let origin = origin::now(false);
    let progress = Progress::start();
    let strategies = chosen(request.strategies)?;
    let shape = Shape::new(request.messages, setting.message_size)?;
    let target = target(setting.to)?;

    progress.say("examining the kernel");
    let kernel = Kernel::examine(common.sites.breadth())?;
    kernel.check_verify(common.verify)?;
    let plan = kernel.plan(common.tier)?;

    progress.say("starting the consumer");
    let consumer = consumer(target).await?;
    let to = match (&consumer, target) {
        (Some(consumer), _) => Receiver::Consumer(consumer.addr()),
        (None, Target::Remote(address)) => Receiver::Consumer(address),
        (None, Target::Dummy) => Receiver::Dummy,
        (None, _) => bail!("no consumer was started"),
    };
    let nic = match to {
        Receiver::Consumer(address) => Some(Nic::towards(address)?),
        Receiver::Dummy => None,
    };
    let _guard = match &nic {
        Some(nic) => common.nic_sg.apply(nic)?,
        None => None,
    };

    let emulated = machine::is_emulated(machine::hypervisor().as_deref());
    let rounds = if emulated { 0 } else { request.rounds };
    let load = machine::load().filter(|_| rounds > 0);
    let same = timing::Setting { shape, cache: setting.cache, dir: &common.dir, to };
    let mut timing = Timing::new(&strategies, same);
    // Half of them before the probes, and half after them: what changes on the machine meanwhile widens
    // the spread.
    let before = rounds.div_ceil(2);
    timing.run(0..before, &progress).await?;

    progress.say("attaching to the kernel");
    let mut session = common.session(plan, verbose)?;

    let mut names = Names::new();
    let functions = Functions::read(common.verify);
    let mut outcomes = Vec::new();
    let mut warnings = session.unseen();
    let mut disk = String::new();
    for strategy in strategies {
        progress.say(format!("measuring {}", strategy.name));
        let mut measured;
        let mut attempts = ATTEMPTS;
        loop {
            // A file of its own for each: packets of the last one may still refer to its pages, and
            // those cannot be dropped from the page cache.
            let payload = workloads::PayloadFile::create(&common.dir, shape, rand::random())?;
            disk = payload.disk().to_string();
            let (name, cache) = (strategy.name, setting.cache);
            let spec = SenderSpec { strategy: name, payload: &payload, to, cache };
            let consumer = consumer.as_ref();
            let run = Run {
                session: &mut session,
                names: &mut names,
                functions: &functions,
                strategy,
                consumer,
                spec,
            };
            measured = run.measure().await;
            attempts -= 1;
            let has_lost = measured.as_ref().is_ok_and(|(observed, _)| observed.lost_events > 0);
            if !has_lost || attempts == 0 {
                break;
            }
            progress.say(format!("measuring {name} again, for events were lost"));
        }
        match measured {
            Ok((observation, caveats)) => {
                outcomes.push(Outcome::from(observation));
                warnings.extend(caveats);
            }
            Err(error) => outcomes.push(skipped(strategy.name, error)?),
        }
    }
    let tier = session.plan().tier;
    drop(session);
    timing.run(before..rounds, &progress).await?;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .zip(timing.rounds())
        .map(|(outcome, rounds)| outcome.timed(rounds))
        .collect();

    let environment = Environment {
        kernel: kernel.facts.release.clone(),
        where_: location(),
        tier,
        // A dummy device does.
        scatter_gather: nic.as_ref().and_then(|nic| nic.scatter_gather().ok()).unwrap_or(true),
        nic: nic.map_or_else(|| DUMMY_DEVICE.to_owned(), |nic| nic.label()),
        cache: setting.cache,
        disk,
        emulated,
        load,
    };
    let sent = Payload { message_bytes: shape.message_bytes(), messages: shape.messages() };
    let mut report = Report::new(environment, sent, &outcomes);
    report.origin = Some(origin);
    report.warnings.extend(warnings.into_iter().map(WarningRow::from));
    Ok(report)
}

/// The number of attempts for a strategy if events are lost: from 6.13 on a program can be preempted, and
/// is then skipped for another task on that CPU.
const ATTEMPTS: u32 = 3;

/// The strategies by these names; the textbook's if there are none.
fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Strategy>> {
    if names.iter().any(|name| name == ALL) {
        return Ok(STRATEGIES.to_vec());
    }
    let documented = || documents::STRATEGIES.iter().map(|strategy| strategy.name);
    let names: Vec<&str> = match names {
        [] => documented().collect(),
        names => names.iter().map(String::as_str).collect(),
    };
    names.into_iter().map(|name| Ok(workloads::strategy::find(name)?)).collect()
}

/// The place of the consumer.
fn target(wanted: Option<Target>) -> anyhow::Result<Target> {
    let link = match wanted {
        None => None,
        Some(Target::Here(link)) => Some(link),
        Some(elsewhere) => return Ok(elsewhere),
    };
    Link::find(link).map(Target::Here)
}

async fn consumer(target: Target) -> anyhow::Result<Option<Consumer>> {
    let Target::Here(link) = target else { return Ok(None) };
    Ok(Some(Consumer::start(Path::new(SELF), &link.network()).await?))
}

/// A strategy that cannot run here is a row with the reason; any other error ends the run.
fn skipped(strategy: &str, error: anyhow::Error) -> anyhow::Result<Outcome> {
    match error.downcast_ref() {
        Some(workloads::Error::Unsupported { reason }) => Ok(Outcome::skipped(strategy, reason)),
        _ => Err(error.context(strategy.to_owned())),
    }
}

/// One strategy's run.
struct Run<'a> {
    session: &'a mut Session,
    names: &'a mut Names,
    functions: &'a Functions,
    strategy: &'static Strategy,
    consumer: Option<&'a Consumer>,
    spec: SenderSpec<'a>,
}

impl Run<'_> {
    async fn measure(self) -> anyhow::Result<(Observation, Vec<Warning>)> {
        let sender = Sender::prepare(Path::new(SELF), &self.spec).await?;
        let mut caveats = Vec::new();
        let bytes = self.spec.payload.shape().bytes();
        if self.spec.cache == Cache::Cold && sender.cached_bytes() > 0 {
            caveats.push(Warning::StayedCached {
                what: self.spec.strategy.to_owned(),
                bytes: sender.cached_bytes(),
                file_bytes: bytes,
                disk: self.spec.payload.disk().to_string(),
            });
        }
        self.session.follow(sender.pid(), Start::AtMarker)?;
        let consumer = self.consumer.filter(|_| self.strategy.route.has_consumer());
        let others: BTreeSet<u32> =
            consumer.map(Consumer::pid).into_iter().chain(sender.peer_pid()).collect();
        for pid in &others {
            self.session.follow(*pid, Start::Now)?;
        }
        let outcome = sender.go().await?;
        self.session.close()?;
        let taken = self.session.take_flows(self.names)?;
        let trial = Trial {
            strategy: outcome.strategy,
            route: self.strategy.route,
            call_order: self.strategy.calls.iter().map(|name| (*name).to_owned()).collect(),
            side: if self.strategy.receives() { Side::Receiver } else { Side::Sender },
            others,
            message_bytes: outcome.message_bytes,
            messages: outcome.messages,
            bytes: outcome.bytes,
            zero_copy: outcome.zero_copy,
            shared_bytes: outcome.shared_bytes,
            checked_by: outcome.checked_by,
        };
        caveats.extend(taken.unexplained.warnings(self.functions));
        let witnesses = self.session.witnesses();
        Ok((observe(trial, taken.ledger, witnesses, taken.lost), caveats))
    }
}
