//! Arguments of the scenario of brokers.

use tracer::ledger::Setting;
use workloads::{Cache, broker::Flavour};

use super::super::Options;

/// Arguments of `copytrace demo --scenario brokers` alone.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of --scenario brokers")]
pub struct BrokerOptions {
    /// Which flavour of broker; may be repeated [default: all]
    #[arg(long = "flavour", value_name = "NAME", value_enum)]
    flavours: Vec<Flavour>,
    /// How many consumers get every message at the same time; may be repeated [default: 1 and 16]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=256))]
    consumers: Vec<u64>,
    /// How often each delivery is repeated for its speed, one flavour after the other [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// How many producers write the log [default: 16]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=256))]
    producers: Option<u64>,
}

impl BrokerOptions {
    /// Whether any of them was.
    pub fn is_given(&self) -> bool {
        let lists = [self.flavours.is_empty(), self.consumers.is_empty()];
        lists.contains(&false) || self.rounds.or(self.producers).is_some()
    }

    /// How often each delivery is repeated.
    pub fn rounds(&self) -> u64 {
        self.rounds.unwrap_or(5)
    }

    /// How many producers there are.
    pub fn producers(&self) -> u64 {
        self.producers.unwrap_or(16)
    }
}

/// Message sizes that are measured where none is asked for, in bytes.
const SIZES: [u64; 3] = [1 << 10, 16 << 10, 256 << 10];
/// Bytes of a log, where the number of messages is not asked for: more of larger messages, which
/// take less time, but never more messages than the disk acknowledges in a few seconds.
const LOG_BYTES: u64 = 64 << 20;
const MOST_MESSAGES: u64 = 8192;

/// What the user asked for.
pub struct Chosen {
    /// Message sizes, in bytes.
    pub sizes: Vec<u64>,
    caches: Vec<Cache>,
    consumers: Vec<u64>,
    flavours: Vec<Flavour>,
    messages: Option<u64>,
}

impl Chosen {
    /// Out of the options.
    pub fn new(options: &Options) -> Self {
        let or = |asked: &[u64], otherwise: &[u64]| match asked {
            [] => otherwise.to_vec(),
            asked => asked.to_vec(),
        };
        let brokers = &options.brokers;
        Self {
            sizes: or(options.message_size.as_slice(), &SIZES),
            caches: options.cache.map_or(vec![Cache::Cold, Cache::Warm], |cache| vec![cache]),
            consumers: or(&brokers.consumers, &[1, 16]),
            flavours: match &*brokers.flavours {
                [] => Flavour::ALL.to_vec(),
                flavours => flavours.to_vec(),
            },
            messages: options.messages,
        }
    }

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

    /// How many settings follow each other that differ only in the flavour.
    pub fn flavours(&self) -> usize {
        self.flavours.len()
    }
}
