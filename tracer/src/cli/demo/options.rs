//! Arguments of `copytrace demo`.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::builder::PossibleValuesParser;
use tracer::{expect::Rule, report::Format};
use workloads::{Cache, STRATEGIES};

use super::brokers::BrokerOptions;
use crate::cli::{
    expect::Expect,
    kernel::{Sites, TierChoice},
    usage,
};

/// Arguments of `copytrace demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What to run
    #[arg(long, value_enum, default_value = "strategies")]
    pub scenario: Scenario,
    /// Which strategy to run, or `all`; may be repeated [default: the documents' three]
    #[arg(short, long = "strategy", value_name = "NAME", value_parser = names())]
    pub strategies: Vec<String>,
    /// Print the strategies, each with a line of explanation, and exit
    #[arg(long, exclusive = true)]
    pub list: bool,
    /// How many messages to send [default: 256; of brokers: fewer the larger they are]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// Payload size of one message, such as 4096, 64KiB or 1MiB [default: 64KiB; of brokers:
    /// 1KiB, 16KiB and 256KiB]
    #[arg(short = 'z', long, value_parser = workloads::size::parse)]
    pub message_size: Option<u64>,
    /// Whether the payload is in the page cache before the transfer [default: cold; of brokers:
    /// both]
    #[arg(long, value_enum)]
    pub cache: Option<Cache>,
    /// Where the consumer is: `nic` (in the network namespace `copytrace`, reached through a
    /// network card), `loopback`, the ADDR:PORT of a `workloads consume`, or nowhere: `dummy` is a
    /// network device that drops what it is given, for datagrams [default: nic where there is that
    /// namespace, else loopback]
    #[arg(long, value_name = "nic|loopback|dummy|ADDR:PORT")]
    pub to: Option<Target>,
    /// Turn the network card's scatter-gather off for the run, and on again after it
    #[arg(long, value_enum, default_value = "keep")]
    pub nic_sg: ScatterGather,
    #[command(flatten)]
    pub sites: Sites,
    /// How to enter the kernel's functions
    #[arg(long, value_enum, default_value = "auto")]
    pub tier: TierChoice,
    /// Check every CPU copy against hardware breakpoints on the copy routines
    #[arg(long)]
    pub verify: bool,
    /// Directory for the payload file, on the disk to measure
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub dir: PathBuf,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: Format,
    /// Write the result to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub brokers: BrokerOptions,
}

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Single senders, one for each strategy
    Strategies,
    /// A log broker with consumers: as Kafka, as RocketMQ, and as RocketMQ ships
    Brokers,
}

impl Options {
    /// Refuses options without effect.
    pub fn check(&self) {
        const VERB: &str = "demo";
        usage::check_sites(VERB, self.sites, self.tier);
        let brokers = self.scenario == Scenario::Brokers;
        usage::refuse_useless(
            VERB,
            brokers && !self.strategies.is_empty(),
            "--strategy is for --scenario strategies: leave it out",
        );
        usage::refuse_useless(
            VERB,
            !brokers && self.brokers.is_given(),
            "--flavour, --consumers, --rounds and --producers are for --scenario brokers",
        );
        let rules = self.expect.rules();
        usage::refuse_useless(
            VERB,
            brokers && !rules.is_empty(),
            "--expect and --expect-file are for --scenario strategies: leave them out",
        );
        let is_of_strategies = |rule: &Rule| !rule.has_way() && rule.measure().is_of_strategies();
        usage::refuse_useless(
            VERB,
            !rules.iter().all(is_of_strategies),
            "demo takes rules on cpu, dma or copies, and without SOURCE -> DESTINATION, such as \
             `sendfile: cpu == 0`",
        );
    }

    /// How many messages a strategy sends.
    pub fn messages(&self) -> u64 {
        self.messages.unwrap_or(256)
    }

    /// Payload size of one message of a strategy, in bytes.
    pub fn message_size(&self) -> u64 {
        self.message_size.unwrap_or(64 << 10)
    }

    /// The state of the page cache for a strategy.
    pub fn cache(&self) -> Cache {
        self.cache.unwrap_or(Cache::Cold)
    }
}

/// The name that stands for every strategy.
pub const ALL: &str = "all";

/// What `--strategy` takes.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STRATEGIES.iter().map(|strategy| strategy.name()).chain([ALL]))
}

/// Where the consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// In the network namespace that a NIC leads to.
    Nic,
    /// On this machine.
    Loopback,
    /// Nowhere: a device drops what it is given.
    Dummy,
    /// Started by somebody else.
    Remote(SocketAddr),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nic" => Ok(Self::Nic),
            "loopback" => Ok(Self::Loopback),
            "dummy" => Ok(Self::Dummy),
            _ => text.parse().map(Self::Remote).map_err(|_| {
                "give nic, loopback, dummy, or the address and port of a consumer, such as \
                 192.0.2.7:9000 or [2001:db8::7]:9000"
                    .to_owned()
            }),
        }
    }
}

/// What to do with the NIC's scatter-gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScatterGather {
    /// Leave it as it is
    Keep,
    /// Off for the run
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_word_or_an_address() {
        assert_eq!("nic".parse(), Ok(Target::Nic));
        assert_eq!("loopback".parse(), Ok(Target::Loopback));
        assert_eq!("dummy".parse(), Ok(Target::Dummy));
        let address = ([192, 0, 2, 7], 9000).into();
        assert_eq!("192.0.2.7:9000".parse(), Ok(Target::Remote(address)));
        assert!("192.0.2.7".parse::<Target>().is_err());
    }
}
