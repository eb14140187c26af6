//! `copytrace brokers --real`: Apache Kafka and Apache RocketMQ themselves, on loopback. Each delivery is
//! made in rounds without probes, for its speed, and in as many with probes, alternately.

mod client;
mod java;
mod kafka;
mod ports;
mod program;
mod rocketmq;
mod round;
mod running;
mod tracing;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use client::Messages;
use java::Java;
use kafka::KAFKA;
use program::{Home, Program, Setting};
use rocketmq::ROCKETMQ;
use running::Running;
use tracer_ledger::{
    Round, Warning,
    report::brokers::{Counted, ProgramDelivery},
    size,
};
use tracing::Tracing;

use super::{Options, folder};
use crate::cli::{kernel::Kernel, progress::Progress};

/// Bytes of the messages of one size, and the most and the least messages.
const LOG_BYTES: u64 = 64 << 20;
const MESSAGES: std::ops::RangeInclusive<u64> = 64..=65536;
const QUICK_LOG_BYTES: u64 = 32 << 20;

/// The smallest message has its checksum and its number.
const SMALLEST: u64 = 8;

/// The requested programs, and the means to run them.
pub struct Programs {
    java: Java,
    homes: Vec<(&'static Program, Home)>,
}

/// The folders of the programs, given by the user.
#[derive(Debug, clap::Args)]
pub struct Homes {
    /// Use this Apache Kafka: a distribution, or a folder with its jars
    #[arg(long, value_name = "DIR", requires = "real")]
    kafka_home: Option<PathBuf>,
    /// Use this Apache RocketMQ: a distribution, or a folder with its jars
    #[arg(long, value_name = "DIR", requires = "real")]
    rocketmq_home: Option<PathBuf>,
}

impl Homes {
    /// Looks for them, and for Java.
    pub fn find(&self) -> anyhow::Result<Programs> {
        let asked = [(&KAFKA, &self.kafka_home), (&ROCKETMQ, &self.rocketmq_home)];
        let found = |(program, home): (&'static Program, &Option<PathBuf>)| {
            home.as_deref().map(|home: &Path| Ok((program, program.find(home)?)))
        };
        let homes = asked.into_iter().filter_map(found).collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(
            !homes.is_empty(),
            "--real measures what {} and {} name: give one of them, or both; `cargo xtask run --scenario \
             brokers --real` fetches both programs",
            KAFKA.flag,
            ROCKETMQ.flag
        );
        Ok(Programs { java: Java::find()?, homes })
    }
}

/// One kind of delivery, and its results.
struct Delivery<'a> {
    /// The index of the running program.
    of: usize,
    setting: &'static Setting,
    messages: &'a Messages,
    timed: Vec<Round>,
    counted: Vec<Counted>,
}

/// Measures every delivery; returns the rows and the warnings.
pub async fn measure(
    programs: Programs,
    options: &Options,
    kernel: &Kernel,
    progress: &Progress,
) -> anyhow::Result<(Vec<ProgramDelivery>, Vec<Warning>)> {
    let all = messages(options)?;
    progress.say("starting the programs themselves");
    let mut running = start(programs, &options.common.dir).await?;
    for messages in &all {
        for one in &mut running {
            let (title, bytes) = (one.program.title, size(messages.bytes));
            progress.say(format!("{title}: producing {} messages of {bytes}", messages.count));
            one.produce(messages).await?;
        }
    }
    let mut deliveries = deliveries(&running, &all);
    let mut tracing = Tracing::new(kernel, options)?;
    for delivery in &deliveries {
        // A virtual machine interprets and compiles new code at first: that is not counted.
        progress.say(format!("{}: warming up", delivery.name(&running)));
        delivery.apply(&mut running).await?;
        running[delivery.of].consume(delivery.messages).await?;
    }
    for round in 1..=options.rounds {
        let of = format!("round {round} of {}", options.rounds);
        // Another delivery is the first in each round.
        let first = round as usize % deliveries.len();
        deliveries.rotate_left(first);
        for delivery in &mut deliveries {
            progress.say(format!("{}: delivering, {of}", delivery.name(&running)));
            delivery.apply(&mut running).await?;
            let timed = round::timed(&mut running[delivery.of], delivery.messages).await?;
            delivery.timed.push(timed);
        }
        progress.say("attaching to the kernel");
        let mut session = tracing.attach()?;
        for delivery in &mut deliveries {
            progress.say(format!("{}: counting, {of}", delivery.name(&running)));
            delivery.apply(&mut running).await?;
            let running = &mut running[delivery.of];
            let traced = tracing.delivery(&mut session, running, delivery.messages).await?;
            delivery.counted.push(traced);
        }
        drop(session);
        deliveries.rotate_right(first);
    }
    progress.say("stopping the programs");
    let rows = deliveries.into_iter().map(|it| tracing.row(it, &running)).collect();
    drop(running);
    Ok((rows, tracing.warnings()))
}

/// The messages of each size.
fn messages(options: &Options) -> anyhow::Result<Vec<Messages>> {
    let log_bytes = if options.quick { QUICK_LOG_BYTES } else { LOG_BYTES };
    let sizes = options.message_sizes();
    if let Some(small) = sizes.iter().find(|bytes| **bytes < SMALLEST) {
        bail!(
            "a message of {small} bytes has no room for a checksum and a number: give {SMALLEST}"
        );
    }
    let of_size = |bytes: u64| {
        let count = (log_bytes / bytes).clamp(*MESSAGES.start(), *MESSAGES.end());
        let count = options.messages.unwrap_or(count);
        Messages { topic: format!("of-{bytes}-bytes"), count, bytes }
    };
    Ok(sizes.into_iter().map(of_size).collect())
}

/// Starts the programs, at the same time.
async fn start(programs: Programs, dir: &Path) -> anyhow::Result<Vec<Running>> {
    let Programs { java, homes } = programs;
    let start = |(program, home)| {
        let (java, folder) = (&java, folder(dir));
        async move { Running::start(program, home, java, folder?).await }
    };
    let mut homes = homes.into_iter();
    let first = homes.next().map(start);
    let second = homes.next().map(start);
    let (first, second) = tokio::try_join!(all(first), all(second))?;
    Ok(first.into_iter().chain(second).collect())
}

/// Runs all futures, if there are any.
async fn all<T>(
    work: Option<impl Future<Output = anyhow::Result<T>>>,
) -> anyhow::Result<Option<T>> {
    match work {
        Some(work) => work.await.map(Some),
        None => Ok(None),
    }
}

/// Every delivery: those of messages of a size follow each other.
fn deliveries<'a>(running: &[Running], messages: &'a [Messages]) -> Vec<Delivery<'a>> {
    let mut deliveries = Vec::new();
    for messages in messages {
        for (of, one) in running.iter().enumerate() {
            let delivery = |setting| {
                let (timed, counted) = (Vec::new(), Vec::new());
                Delivery { of, setting, messages, timed, counted }
            };
            deliveries.extend(one.program.settings.iter().map(delivery));
        }
    }
    deliveries
}

impl Delivery<'_> {
    fn name(&self, running: &[Running]) -> String {
        format!("{}, {}", running[self.of].program.title, self.setting.name)
    }

    async fn apply(&self, running: &mut [Running]) -> anyhow::Result<()> {
        running[self.of].apply(self.setting).await
    }
}
