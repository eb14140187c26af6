//! Arguments of `copytrace brokers`.

use clap::builder::ArgPredicate;
use tracer_ledger::{Setting, report::Format};
use workloads::{Cache, broker::Flavour};

use super::real::Homes;
use crate::cli::{
    bundled::{self, network::Link},
    output::Outputs,
};

/// Message sizes in bytes, where none is asked for; the smallest is for the programs themselves only.
const SIZES: [u64; 4] = [100, 1 << 10, 16 << 10, 256 << 10];
const QUICK_SIZES: [u64; 1] = [1 << 10];

/// Bytes of a log, where the number of messages is not asked for: more of larger messages, which
/// take less time, but never more messages than the disk acknowledges in a few seconds.
const LOG_BYTES: u64 = 64 << 20;
const MOST_MESSAGES: u64 = 8192;

/// Arguments of `copytrace brokers`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also measure Apache Kafka and Apache RocketMQ, with one consumer, over loopback, from the page
    /// cache; the models likewise
    #[arg(long, conflicts_with_all = ["caches", "consumers", "to"])]
    pub real: bool,
    #[command(flatten)]
    pub homes: Homes,
    /// With --real: use one message size and two rounds by default
    #[arg(long, requires = "real")]
    pub quick: bool,
    /// With --real: count what the programs copy inside Java's virtual machine, too, for Unsafe.copyMemory
    #[arg(long, requires = "real")]
    pub jvm_copies: bool,
    /// Which flavour of broker; may be repeated
    #[arg(long = "flavour", value_name = "NAME", value_enum, default_values_t = Flavour::ALL)]
    pub flavours: Vec<Flavour>,
    /// Put this number of messages into the log [default: fewer the larger they are]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// Send messages of this payload size, such as 4096, 64KiB or 1MiB; may be repeated [default: 1KiB,
    /// 16KiB and 256KiB; with --real 100, too; with --quick 1KiB]
    #[arg(
        short = 'z', long = "message-size", value_name = "MESSAGE_SIZE",
        value_parser = workloads::size::parse
    )]
    message_sizes: Vec<u64>,
    /// Drop the log from the page cache first, or read it in; may be repeated
    #[arg(
        long = "cache", value_name = "CACHE", value_enum,
        default_values_t = [Cache::Cold, Cache::Warm]
    )]
    caches: Vec<Cache>,
    /// Deliver every message to this number of consumers at the same time; may be repeated
    #[arg(
        long, value_name = "COUNT", default_values = ["1", "16"],
        value_parser = clap::value_parser!(u64).range(1..=256)
    )]
    consumers: Vec<u64>,
    /// Repeat each delivery this often for its speed, one flavour after the other
    #[arg(
        long, default_value = "5", default_value_if("quick", ArgPredicate::IsPresent, "2"),
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub rounds: u64,
    /// Write the log with this number of producers
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub producers: u64,
    /// Reach the consumers by this link [default: nic where the network namespace exists, else loopback]
    #[arg(long, value_enum)]
    to: Option<Link>,
    #[command(flatten)]
    pub common: bundled::Options,
    #[command(flatten)]
    pub outputs: Outputs<Format>,
}

impl Options {
    /// The sizes of messages.
    pub fn message_sizes(&self) -> Vec<u64> {
        match (&self.message_sizes[..], self.quick, self.real) {
            ([], true, _) => QUICK_SIZES.to_vec(),
            ([], false, true) => SIZES.to_vec(),
            ([], false, false) => SIZES[1..].to_vec(),
            (asked, ..) => asked.to_vec(),
        }
    }

    /// The link to the consumers.
    pub fn to(&self) -> Option<Link> {
        if self.real { Some(Link::Loopback) } else { self.to }
    }

    /// The number of messages of a size in the log.
    pub fn messages(&self, message_bytes: u64) -> u64 {
        let fitting = LOG_BYTES / message_bytes.max(1);
        self.messages.unwrap_or(fitting.clamp(16, MOST_MESSAGES))
    }

    /// Every delivery of messages of a size. Flavours follow each other, so that compared deliveries run
    /// one after the other.
    pub fn settings(&self, message_bytes: u64) -> Vec<Setting> {
        // The settings in which the programs are measured.
        let as_real: (&[Cache], &[u64]) = (&[Cache::Warm], &[1]);
        let (caches, numbers) =
            if self.real { as_real } else { (&self.caches[..], &self.consumers[..]) };
        let mut settings = Vec::new();
        for &cache in caches {
            for &consumers in numbers {
                let setting = |&flavour| Setting { flavour, message_bytes, consumers, cache };
                settings.extend(self.flavours.iter().map(setting));
            }
        }
        settings
    }
}
