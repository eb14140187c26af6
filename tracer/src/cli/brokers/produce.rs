//! Messages to disk: the same in every flavour, so it is measured once for each message size.

use std::{fs::File, path::Path};

use anyhow::Context;
use tokio::task::spawn_blocking;
use tracer_ledger::{Spread, report::brokers::Produced};
use workloads::{
    Disk,
    broker::{
        Flavour,
        driver::Broker,
        load::{self, Load},
        store::COMMIT_LOG,
    },
};

use super::{Options, delivery::Log, folder};
use crate::cli::bundled::SELF;

/// Writes a log in every round, and keeps the last one for the deliveries.
pub async fn measure(
    options: &Options,
    message_bytes: u64,
    messages: u64,
) -> anyhow::Result<(Log, Produced)> {
    let producers = options.producers;
    let mut loads: Vec<(Load, u64)> = Vec::new();
    let mut log = folder(&options.common.dir)?;
    for round in 1..=options.rounds {
        if round > 1 {
            log = folder(&options.common.dir)?;
        }
        let exe = Path::new(SELF);
        let mut broker = Broker::start(exe, Flavour::Kafka, log.path(), None).await?;
        let addr = broker.addr();
        let bytes = message_bytes as usize;
        let load = spawn_blocking(move || load::produce(addr, producers, messages, bytes));
        let load = load.await??;
        loads.push((load, broker.syncs().await?));
        broker.kill().await?;
    }
    let per_second = |of: fn(&Load) -> u64| {
        Spread::of(loads.iter().map(|(load, _)| of(load) as f64 / load.elapsed.as_secs_f64()))
    };
    let row = Produced {
        message_bytes,
        messages,
        producers,
        messages_per_second: per_second(|load| load.messages),
        bytes_per_second: per_second(|load| load.bytes),
        flushes_per_message: Spread::of(
            loads.iter().map(|(load, syncs)| *syncs as f64 / load.messages as f64),
        ),
    };
    let file = File::open(log.path().join(COMMIT_LOG)).context("cannot open the log")?;
    let bytes = file.metadata().context("cannot stat the log")?.len();
    let disk = Disk::of(&file)?;
    Ok((Log { dir: log, file, bytes, disk, message_bytes, messages }, row))
}
