//! `copytrace brokers`: with `--real`, measures Kafka and RocketMQ themselves. Of their models: messages
//! to disk, then deliveries without probes for their speed, then each delivery once more with probes; and
//! tests of the brokers' promises.

mod delivery;
mod options;
mod produce;
mod real;

use std::{path::Path, process::ExitCode};

use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tracer::{naming::Names, session::Functions};
use tracer_ledger::{
    Delivery, Round, Setting, Warning, WarningRow,
    claims::brokers::Evidence,
    report::brokers::{self, BrokerEnvironment, BrokerReport},
    size,
};
use workloads::{
    Cache,
    broker::{Answer, Feature, Flavour, check, driver::Broker},
    driver::Consumer,
};

pub use options::Options;

use super::{
    bundled::{
        self, SELF,
        network::{Link, NAMESPACE},
        nic::Nic,
    },
    kernel::{Kernel, location},
    machine, origin,
    progress::Progress,
    usage,
};
use delivery::{Log, Network};

/// The number of times that a broker is killed to see which messages survive.
const KILLS: u64 = 5;

/// Runs the verb. The exit status is 0 if everything was measured, 128 + n after signal n.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    options.common.check("brokers");
    usage::check_breakpoints("brokers", options.common.verify, options.jvm_copies);
    options.outputs.check("brokers", None);
    let judge = |_: &BrokerReport| ExitCode::SUCCESS;
    bundled::run(&options.outputs, measure(options, verbose), brokers::write, judge)
}

/// Measures every delivery the user chose.
async fn measure(options: &Options, verbose: bool) -> anyhow::Result<BrokerReport> {
    let common = &options.common;
    let programs = options.real.then(|| options.homes.find()).transpose()?;
    let origin = origin::now(false);
    let progress = Progress::start();
    progress.say("examining the kernel");
    let kernel = Kernel::examine(common.sites.breadth())?;
    kernel.check_verify(common.verify)?;
    Kernel::check_jvm_copies(options.jvm_copies)?;
    let plan = kernel.plan(common.tier)?;
    let busy = machine::busy();
    let (consumers, nic) = network(options.to()).await?;
    let _guard = common.nic_sg.apply(&nic)?;

    let mut warnings = Vec::new();
    let mut of_programs = Vec::new();
    if let Some(programs) = programs {
        (of_programs, warnings) = real::measure(programs, options, &kernel, &progress).await?;
    }

    let mut logs = Vec::new();
    let mut produced = Vec::new();
    for message_bytes in options.message_sizes() {
        progress.say(format!("producing messages of {}", size(message_bytes)));
        let messages = options.messages(message_bytes);
        let (log, row) = produce::measure(options, message_bytes, messages).await?;
        produced.push(row);
        logs.push(log);
    }

    let mut timed: Vec<(Setting, &Log, Vec<Round>)> = Vec::new();
    for log in &logs {
        let settings = options.settings(log.message_bytes);
        timed.extend(settings.into_iter().map(|setting| (setting, log, Vec::new())));
    }
    for round in 1..=options.rounds {
        progress.say(format!("delivering, round {round} of {}", options.rounds));
        for group in timed.chunks_mut(options.flavours.len()) {
            // Another flavour is the first in each round.
            let first = round as usize % group.len();
            group.rotate_left(first);
            for (setting, log, rounds) in group.iter_mut() {
                rounds.push(delivery::timed(log, setting, &consumers).await?);
            }
            group.rotate_right(first);
        }
    }

    progress.say("attaching to the kernel");
    let mut session = common.session(plan, verbose)?;
    let mut names = Names::new();
    let functions = Functions::read(common.verify);
    let mut deliveries = Vec::new();
    for (setting, log, rounds) in timed {
        let (name, bytes) = (setting.flavour.name(), size(setting.message_bytes));
        progress.say(format!("counting {name} at {bytes}"));
        let traced =
            delivery::traced(&mut session, (&mut names, &functions), log, &setting, &consumers);
        let (observed, caveats) = traced.await?;
        let (messages, bytes) = (observed.messages, observed.payload_bytes);
        deliveries.push(Delivery { setting, messages, bytes, rounds, observed });
        warnings.extend(caveats);
    }
    let tier = session.plan().tier;
    drop(session);

    progress.say("trying what brokers promise");
    let features = features(&common.dir).await?;
    let dir = folder(&common.dir)?;
    let survival = check::survival(Path::new(SELF), Flavour::Rocketmq, dir.path(), KILLS).await?;

    let hypervisor = machine::hypervisor();
    let emulated = machine::is_emulated(hypervisor.as_deref());
    let environment = BrokerEnvironment {
        kernel: kernel.facts.release.clone(),
        where_: location(),
        tier,
        nic: nic.label(),
        disk: logs.first().map(|log| log.disk.to_string()).unwrap_or_default(),
        processor: machine::processor(),
        cpus: machine::cpus(),
        hypervisor,
        emulated,
    };
    let evidence = Evidence { deliveries, features, survival, times_count: !emulated };
    let mut report = BrokerReport::new(environment, produced, &evidence);
    report.add(of_programs);
    report.origin = Some(origin);
    report.warnings.extend(busy.into_iter().chain(warnings).map(WarningRow::from));
    Ok(report)
}

/// A new folder, removed when dropped.
fn folder(dir: &Path) -> anyhow::Result<TempDir> {
    let made = tempfile::Builder::new().prefix("copytrace-brokers-").tempdir_in(dir);
    made.map_err(|error| {
        anyhow::anyhow!(
            "cannot make a folder in {}: {error}; choose another directory with --dir",
            dir.display()
        )
    })
}

/// The network of the consumers, and the network device towards them.
async fn network(wanted: Option<Link>) -> anyhow::Result<(Network, Nic)> {
    let link = Link::find(wanted)?;
    match link {
        Link::Loopback => {
            let nic = Nic::towards(([127, 0, 0, 1], 1).into())?;
            Ok((Network { broker: nic.address, namespace: None }, nic))
        }
        Link::Nic => {
            // The consumer reports its address in the namespace.
            let there = Consumer::start(Path::new(SELF), &link.network()).await?;
            let nic = Nic::towards(there.addr())?;
            Ok((Network { broker: nic.address, namespace: Some(NAMESPACE.into()) }, nic))
        }
    }
}

/// Asks a new broker of each flavour for each feature.
async fn features(dir: &Path) -> anyhow::Result<Vec<(Flavour, Feature, Answer)>> {
    let mut features = Vec::new();
    for flavour in Flavour::ALL {
        let dir = folder(dir)?;
        let broker = Broker::start(Path::new(SELF), flavour, dir.path(), None).await?;
        let addr = broker.addr();
        for feature in Feature::ALL {
            let answer = spawn_blocking(move || check::feature(addr, feature)).await??;
            features.push((flavour, feature, answer));
        }
        broker.kill().await?;
    }
    Ok(features)
}

/// A warning for a cold log that stays in the page cache.
fn stayed(setting: &Setting, log: &Log, cached: u64) -> Option<Warning> {
    let Setting { flavour, message_bytes, consumers, cache } = setting;
    (*cache == Cache::Cold && cached > 0).then(|| Warning::StayedCached {
        what: format!("{}, {}, consumers: {consumers}", flavour.name(), size(*message_bytes)),
        bytes: cached,
        file_bytes: log.bytes,
        disk: log.disk.to_string(),
    })
}
