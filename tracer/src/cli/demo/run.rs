//! The run: a session, a payload, a consumer, and one sender after the other.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use tracer::{
    claims::documents,
    expect::of_strategies,
    ledger::{Observation, Side, ZeroCopy},
    report::{Environment, Outcome, Payload, Report},
    session::{self, Opens, Purpose, Session},
};
use workloads::{
    Cache, DUMMY_DEVICE, Receiver, STRATEGIES, Shape, Strategy,
    driver::{Consumer, Network, Sender, SenderSpec},
};

use super::{
    nic::{Guard, Nic},
    options::{ALL, Options, ScatterGather, Target},
    progress::Progress,
};
use crate::cli::{
    kernel::{Kernel, location},
    origin,
};

/// The network namespace a NIC of this machine leads to, as `ip netns add copytrace` makes it.
pub(super) const NAMESPACE: &str = "/run/netns/copytrace";

/// The running program, which has the sender and the consumer among its verbs.
pub(super) const SELF: &str = "/proc/self/exe";

/// Measures every strategy the user chose.
pub async fn measure(options: &Options, verbose: bool) -> anyhow::Result<Report> {
    let origin = origin::now(false);
    let progress = Progress::start();
    let strategies = chosen(&options.strategies)?;
    let shape = Shape::new(options.messages(), options.message_size())?;
    let target = target(options.to)?;

    progress.say("examining the kernel");
    let kernel = Kernel::examine(options.sites.breadth())?;
    kernel.check_verify(options.verify)?;
    let plan = kernel.plan(options.tier)?;

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
    let _guard = scatter_gather(options.nic_sg, nic.as_ref())?;

    progress.say("attaching to the kernel");
    let mut session = Session::start(plan, Purpose::Window, options.verify)?;
    session.watch_user_copies(workloads::strategy::USER_COPY)?;
    if verbose {
        session.log()?;
    }

    let mut outcomes = Vec::new();
    let mut warnings = session.unseen();
    let mut disk = String::new();
    for strategy in strategies {
        progress.say(format!("measuring {}", strategy.name()));
        let mut measured;
        let mut attempts = ATTEMPTS;
        loop {
            // A file of its own for each: packets of the last one may still refer to its pages, and
            // those cannot be dropped from the page cache.
            let payload = workloads::Payload::create(&options.dir, shape, rand::random())?;
            disk = payload.disk().to_string();
            let (name, cache) = (strategy.name(), options.cache());
            let spec = SenderSpec { strategy: name, payload: &payload, to, cache };
            let consumer = consumer.as_ref();
            measured = Run { session: &mut session, strategy, consumer, spec }.measure().await;
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
            Err(error) => outcomes.push(skipped(strategy.name(), error)?),
        }
    }
    let environment = Environment {
        kernel: kernel.facts.release.clone(),
        where_: location(),
        tier: session.plan().tier,
        // A dummy device does.
        scatter_gather: nic.as_ref().and_then(|nic| nic.scatter_gather().ok()).unwrap_or(true),
        nic: nic.map_or_else(|| DUMMY_DEVICE.to_owned(), |nic| nic.label()),
        cache: options.cache(),
        disk,
    };
    let sent = Payload { message_bytes: shape.message_bytes(), messages: shape.messages() };
    let mut report = Report::new(environment, sent, &outcomes);
    report.origin = Some(origin);
    report.warnings.extend(warnings);
    report.expectations = of_strategies(&options.expect.rules(), &report);
    Ok(report)
}

/// How often a strategy is measured if events are lost: from 6.13 on a program can be put off its CPU, and
/// is not run for who comes there meanwhile.
const ATTEMPTS: u32 = 3;

/// The strategies by these names; the documents' where there are none.
fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static dyn Strategy>> {
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

pub(super) fn target(wanted: Option<Target>) -> anyhow::Result<Target> {
    let exists = Path::new(NAMESPACE).exists();
    match wanted {
        Some(Target::Nic) => {
            ensure!(
                exists,
                "there is no network namespace {NAMESPACE} with a consumer's network card; use \
                 `--to loopback`, or `cargo xtask run --on vm`, whose guest has one"
            );
            Ok(Target::Nic)
        }
        Some(target) => Ok(target),
        None if exists => Ok(Target::Nic),
        None => {
            log::warn!(
                "no network card leads to a consumer (no {NAMESPACE}): sending over loopback, \
                 where no NIC copies"
            );
            Ok(Target::Loopback)
        }
    }
}

async fn consumer(target: Target) -> anyhow::Result<Option<Consumer>> {
    let network = match target {
        Target::Nic => Network::Namespace(PathBuf::from(NAMESPACE)),
        Target::Loopback => Network::Loopback,
        Target::Remote(_) | Target::Dummy => return Ok(None),
    };
    Ok(Some(Consumer::start(Path::new(SELF), &network).await?))
}

/// There is no network card where what is sent is dropped.
pub(super) fn scatter_gather(
    wanted: ScatterGather,
    nic: Option<&Nic>,
) -> anyhow::Result<Option<Guard>> {
    match (wanted, nic) {
        (ScatterGather::Keep, _) => Ok(None),
        (ScatterGather::Off, Some(nic)) => nic.without_scatter_gather(),
        (ScatterGather::Off, None) => {
            bail!("--nic-sg off is for a network card, and --to dummy has none: give --to nic")
        }
    }
}

/// What cannot run here is a row with the reason; anything else ends the run.
fn skipped(strategy: &str, error: anyhow::Error) -> anyhow::Result<Outcome> {
    match error.downcast_ref() {
        Some(workloads::Error::Unsupported { reason }) => Ok(Outcome::skipped(strategy, reason)),
        _ => Err(error.context(strategy.to_owned())),
    }
}

/// One strategy's run.
struct Run<'a> {
    session: &'a mut Session,
    strategy: &'static dyn Strategy,
    consumer: Option<&'a Consumer>,
    spec: SenderSpec<'a>,
}

impl Run<'_> {
    async fn measure(self) -> anyhow::Result<(Observation, Vec<String>)> {
        let sender = Sender::prepare(Path::new(SELF), &self.spec).await?;
        let mut caveats = Vec::new();
        let bytes = self.spec.payload.shape().bytes();
        if self.spec.cache == Cache::Cold && sender.cached_bytes() > 0 {
            caveats.push(format!(
                "{}: {} of {bytes} payload bytes stayed in the page cache: {} does not drop them",
                self.spec.strategy,
                sender.cached_bytes(),
                self.spec.payload.disk(),
            ));
        }
        let (own, other) = match self.strategy.receives() {
            false => (Side::Sender, Side::Receiver),
            true => (Side::Receiver, Side::Sender),
        };
        self.session.trace(sender.pid(), own, Opens::AtMarker)?;
        let consumer = self.consumer.filter(|_| self.strategy.route().has_consumer());
        for pid in consumer.map(Consumer::pid).into_iter().chain(sender.peer_pid()) {
            self.session.trace(pid, other, Opens::AtOnce)?;
        }
        let outcome = sender.go().await?;
        let counts = self.session.collect()?;
        let payload = session::Payload {
            strategy: outcome.strategy,
            route: self.strategy.route(),
            side: own,
            message_bytes: outcome.message_bytes,
            messages: outcome.messages,
            bytes: outcome.bytes,
            zero_copy: outcome
                .zero_copy
                .map(|said| ZeroCopy { notifications: said.notifications, copied: said.copied }),
            shared_bytes: outcome.shared_bytes,
            checked_by: outcome.checked_by,
        };
        let observation = session::observe(payload, &counts, self.session.plan());
        let unexplained = session::unexplained(&counts, self.session.plan());
        caveats.extend(session::words_of_unexplained(&unexplained));
        Ok((observation, caveats))
    }
}
