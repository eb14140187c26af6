//! Arguments of `copytrace demo`.

use std::{net::SocketAddr, str::FromStr};

use clap::{ValueEnum as _, builder::PossibleValuesParser};
use tracer_ledger::{expect::Rule, report::Format};
use workloads::{Cache, STRATEGIES};

use crate::cli::{
    bundled::{self, ScatterGather, network::Link},
    expect::Expect,
    output::Outputs,
    usage,
};

const VERB: &str = "demo";

/// Arguments of `copytrace demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run this strategy, or `all`; may be repeated [default: the textbook's three]
    #[arg(short, long = "strategy", value_name = "NAME", value_parser = names())]
    pub strategies: Vec<String>,
    /// Print the strategies, each with a line of explanation, and exit
    #[arg(long, exclusive = true)]
    pub list: bool,
    /// Send this number of messages
    #[arg(
        short = 'n', long, default_value = "256", value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub messages: u64,
    /// How often each strategy is repeated without probes for its speed, one after the other: 0 for
    /// not at all; never on an emulated processor
    #[arg(long, default_value = "5")]
    pub rounds: u64,
    #[command(flatten)]
    pub setting: Setting,
    #[command(flatten)]
    pub common: bundled::Options,
    #[command(flatten)]
    pub outputs: Outputs<Format>,
    #[command(flatten)]
    pub expect: Expect,
}

/// The payload and its destination; options of `explain` too.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Setting {
    /// Send messages of this payload size, such as 4096, 64KiB or 1MiB
    #[arg(short = 'z', long, default_value = "64KiB", value_parser = workloads::size::parse)]
    pub message_size: u64,
    /// Drop the file from the page cache first, or read it in
    #[arg(long, value_enum, default_value = "cold")]
    pub cache: Cache,
    /// Send to this consumer: `nic` (in the network namespace `copytrace`, through a network card),
    /// `loopback`, the ADDR:PORT of a `workloads consume`, or `dummy`, a network device that drops
    /// datagrams [default: nic where there is that namespace, else loopback]
    #[arg(long, value_name = "nic|loopback|dummy|ADDR:PORT")]
    pub to: Option<Target>,
}

impl Options {
    /// Refuses options without effect.
    pub fn check(&self) {
        self.common.check(VERB);
        self.setting.check(VERB, &self.common);
        self.outputs.check(VERB, None);
        let is_of_strategies = |rule: &Rule| !rule.has_way() && rule.measure().is_of_strategies();
        usage::refuse_useless(
            VERB,
            !self.expect.rules().iter().all(is_of_strategies),
            "demo takes rules on cpu, dma or copies, and without SOURCE -> DESTINATION, such as \
             `sendfile: cpu == 0`",
        );
    }
}

impl Setting {
    /// Refuses options without effect.
    pub fn check(&self, verb: &str, common: &bundled::Options) {
        usage::refuse_useless(
            verb,
            common.nic_sg == ScatterGather::Off && self.to == Some(Target::Dummy),
            "--nic-sg off is for a network card, and --to dummy has none: give --to nic",
        );
    }
}

/// The name that stands for every strategy.
pub const ALL: &str = "all";

/// The values of `--strategy`.
pub fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STRATEGIES.iter().map(|strategy| strategy.name).chain([ALL]))
}

/// The consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// On this machine.
    Here(Link),
    /// Nowhere: a device drops what it is given.
    Dummy,
    /// Started by somebody else.
    Remote(SocketAddr),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(link) = Link::from_str(text, false) {
            return Ok(Self::Here(link));
        }
        match text {
            "dummy" => Ok(Self::Dummy),
            _ => text.parse().map(Self::Remote).map_err(|_| {
                "give nic, loopback, dummy, or the address and port of a consumer, such as \
                 192.0.2.7:9000 or [2001:db8::7]:9000"
                    .to_owned()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_word_or_an_address() {
        assert_eq!("nic".parse(), Ok(Target::Here(Link::Nic)));
        assert_eq!("loopback".parse(), Ok(Target::Here(Link::Loopback)));
        assert_eq!("dummy".parse(), Ok(Target::Dummy));
        let address = ([192, 0, 2, 7], 9000).into();
        assert_eq!("192.0.2.7:9000".parse(), Ok(Target::Remote(address)));
        assert!("192.0.2.7".parse::<Target>().is_err());
    }
}
