//! One delivery: a broker on a complete log, and consumers that each receive all of it.

use std::{
    collections::BTreeSet,
    fs::File,
    net::IpAddr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tracer::{
    naming::Names,
    session::{Functions, Session, Start},
};
use tracer_ledger::{
    Observation, Round, Setting, Side, Warning,
    flows::trial::{Trial, observe},
};
use workloads::{
    Disk,
    broker::{
        driver::Broker,
        load::{Consumers, Load},
        server::Spent,
    },
    cache,
};

use super::stayed;
use crate::cli::bundled::SELF;

/// A complete log.
pub struct Log {
    /// Its directory, gone when dropped.
    pub dir: TempDir,
    /// The commit log.
    pub file: File,
    /// Bytes of the commit log.
    pub bytes: u64,
    /// The disk it lies on.
    pub disk: Disk,
    /// Payload size of one message, in bytes.
    pub message_bytes: u64,
    /// How many messages.
    pub messages: u64,
}

/// The network of the consumers.
pub struct Network {
    /// The address at which they reach the broker.
    pub broker: IpAddr,
    /// Their network namespace, if it is another.
    pub namespace: Option<PathBuf>,
}

/// A broker with its consumers connected, before any of them asked for a message.
struct Prepared {
    broker: Broker,
    consumers: Consumers,
    /// Bytes of the log that are in the page cache.
    cached: u64,
}

/// A delivery without probes.
pub async fn timed(log: &Log, setting: &Setting, network: &Network) -> anyhow::Result<Round> {
    let (load, spent) = run(prepare(log, setting, network).await?, log).await?;
    Ok(Round { seconds: load.elapsed.as_secs_f64(), cpu_seconds: spent.cpu_ns as f64 / 1e9 })
}

/// A delivery with probes, and its warnings.
pub async fn traced(
    session: &mut Session,
    (names, functions): (&mut Names, &Functions),
    log: &Log,
    setting: &Setting,
    network: &Network,
) -> anyhow::Result<(Observation, Vec<Warning>)> {
    let prepared = prepare(log, setting, network).await?;
    let mut caveats: Vec<_> = stayed(setting, log, prepared.cached).into_iter().collect();
    session.follow(prepared.broker.pid(), Start::AtMarker)?;
    let (load, _) = run(prepared, log).await?;
    session.close()?;
    let taken = session.take_flows(names)?;
    let trial = Trial {
        strategy: setting.flavour.name().to_owned(),
        route: workloads::Route::FileToSocket,
        call_order: Vec::new(),
        side: Side::Sender,
        others: BTreeSet::new(),
        message_bytes: setting.message_bytes,
        messages: load.messages,
        bytes: load.bytes,
        zero_copy: None,
        shared_bytes: 0,
        checked_by: workloads::CheckedBy::Hash,
    };
    caveats.extend(taken.unexplained.warnings(functions));
    Ok((observe(trial, taken.ledger, session.witnesses(), taken.lost), caveats))
}

async fn prepare(log: &Log, setting: &Setting, network: &Network) -> anyhow::Result<Prepared> {
    let consumers = setting.consumers as usize;
    let exe = Path::new(SELF);
    let mut broker = Broker::start(exe, setting.flavour, log.dir.path(), Some(consumers)).await?;
    // After the broker has read the log to check it.
    let cached = cache::establish(&log.file, log.bytes, setting.cache)?;
    let (addr, namespace) = (broker.addr_at(network.broker), network.namespace.clone());
    let connecting =
        spawn_blocking(move || Consumers::connect(addr, consumers, namespace.as_deref()));
    let consumers = connecting.await??;
    broker.connected().await?;
    Ok(Prepared { broker, consumers, cached })
}

async fn run(prepared: Prepared, log: &Log) -> anyhow::Result<(Load, Spent)> {
    let Prepared { mut broker, consumers, .. } = prepared;
    let messages = log.messages;
    let load = spawn_blocking(move || consumers.run(messages)).await??;
    let spent = broker.delivered().await?;
    broker.kill().await?;
    Ok((load, spent))
}
