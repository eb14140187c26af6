//! Arguments of `copytrace brokers`.

use tracer_ledger::{Setting, report::Format};
use workloads::{Cache, broker::Flavour};

use crate::cli::{
    bundled::{self, network::Link},
    output::Outputs,
};

/// Bytes of a log, where the number of messages is not asked for: more of larger messages, which
/// take less time, but never more messages than the disk acknowledges in a few seconds.
const LOG_BYTES: u64 = 64 << 20;
const MOST_MESSAGES: u64 = 8192;

/// Arguments of `copytrace brokers`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which flavour of broker; may be repeated
    #[arg(long = "flavour", value_name = "NAME", value_enum, default_values_t = Flavour::ALL)]
    pub flavours: Vec<Flavour>,
    /// How many messages lie in the log [default: fewer the larger they are]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// Payload size of one message, such as 4096, 64KiB or 1MiB; may be repeated
    #[arg(
        short = 'z', long = "message-size", value_name = "MESSAGE_SIZE",
        default_values = ["1KiB", "16KiB", "256KiB"], value_parser = workloads::size::parse
    )]
    pub message_sizes: Vec<u64>,
    /// Whether the log is in the page cache before the transfer; may be repeated
    #[arg(
        long = "cache", value_name = "CACHE", value_enum,
        default_values_t = [Cache::Cold, Cache::Warm]
    )]
    caches: Vec<Cache>,
    /// How many consumers get every message at the same time; may be repeated
    #[arg(
        long, value_name = "COUNT", default_values = ["1", "16"],
        value_parser = clap::value_parser!(u64).range(1..=256)
    )]
    consumers: Vec<u64>,
    /// How often each delivery is repeated for its speed, one flavour after the other
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How many producers write the log
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub producers: u64,
    /// How the consumers are reached [default: nic where the network namespace is, else loopback]
    #[arg(long, value_enum)]
    pub to: Option<Link>,
    #[command(flatten)]
    pub common: bundled::Options,
    #[command(flatten)]
    pub outputs: Outputs<Format>,
}

impl Options {
    /// How many messages of a size lie in the log.
    pub fn messages(&self, message_bytes: u64) -> u64 {
        let fitting = LOG_BYTES / message_bytes.max(1);
        self.messages.unwrap_or(fitting.clamp(16, MOST_MESSAGES))
    }

    /// Every delivery of messages of a size. Flavours follow each other, so that what is compared
    /// runs one after the other.
    pub fn settings(&self, message_bytes: u64) -> Vec<Setting> {
        let mut settings = Vec::new();
        for &cache in &self.caches {
            for &consumers in &self.consumers {
                let setting = |&flavour| Setting { flavour, message_bytes, consumers, cache };
                settings.extend(self.flavours.iter().map(setting));
            }
        }
        settings
    }
}
