//! `cargo xtask bench`: what tracing costs a busy server, copytrace beside the usual tools.

mod account;
mod case;
mod here;
mod load;
mod numbers;
mod process;
mod programs;
mod report;
mod rounds;
mod script;
mod server;
mod situation;
mod tools;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use xtask::build_step::{self, Profile};
use xtask::cache::Cache;
use xtask::consent::Consent;
use xtask::guest::client::{Input, Output};
use xtask::packages::as_root;
use xtask::tier::Tier;
use xtask::vm::{Hardware, Job, Nic, Prepared};
use xtask::{KernelVersion, guest};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure the cost of tracing nginx at full load: copytrace beside strace, perf and bpftrace
    Bench(Arguments),
    /// The measurement itself, as root
    #[command(hide = true)]
    BenchHere(Options),
    /// The guest's side, with `--on vm`
    #[command(hide = true)]
    GuestAgent,
}

/// `cargo xtask bench`
#[derive(clap::Args)]
#[command(
    after_help = "nginx serves on loopback, wrk asks as fast as it gets answers, for a fixed time. In each round \
the cases run one after the other, each round beginning with another: nothing traces, copytrace \
attach, strace -c, perf trace -s, and two bpftrace scripts (bench/src/*.bt): one that \
counts calls and bytes, and one that tells flows apart as copytrace does.\n\n\
Ratios are to the untraced case of the same round; medians, and from the least to the most. \
That a tracer saw the traffic is checked: `seen` is what it counted for each request that was \
answered. What tracing costs is told best by the CPU time of nginx for a request, also on a \
machine that has other work. How long a tracer’s BPF programs run for a request is measured by \
another load of a second, because that the kernel counts it takes time, too. The table goes to stdout, progress to stderr. Missing tools are \
fetched into the cache."
)]
struct Arguments {
    /// Measure on this machine or in a guest
    #[arg(long, value_enum, default_value_t = Place::Host)]
    on: Place,
    /// Run this kernel in the guest, with `--on vm`
    #[arg(long, value_name = "VERSION", default_value_t = KernelVersion::USUAL)]
    kernel: KernelVersion,
    /// Install nothing: a missing tool is a row with the reason
    #[arg(long)]
    no_setup: bool,
    /// Do not build first: measure the last build
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    options: Options,
}

/// The selection of measurements, and their repetitions.
#[derive(Clone, clap::Args)]
struct Options {
    /// Repeat every case this often
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Apply the load for this time, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Keep this number of connections open
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=512))]
    connections: u32,
    /// Measure only this situation; may be repeated
    #[arg(long = "situation", value_enum, value_name = "NAME")]
    situations: Vec<situation::Situation>,
    /// Measure only this tracer, besides `untraced`; may be repeated
    #[arg(long = "case", value_enum, value_name = "NAME")]
    cases: Vec<case::Case>,
    /// Run copytrace in this tier [default: the best this kernel supports]
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    /// Print the result in this format
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Where the measurement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// On this machine
    Host,
    /// In a guest: where every instruction is emulated, the ratios say little
    Vm,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for each situation
    Table,
    /// One JSON document, with every round
    Json,
}

impl Options {
    /// The words that give the same options.
    fn words(&self) -> Vec<OsString> {
        let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
            value().map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        let mut words: Vec<String> = Vec::new();
        let mut flag = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        flag("--rounds", self.rounds.to_string());
        flag("--seconds", self.seconds.to_string());
        flag("--connections", self.connections.to_string());
        for situation in &self.situations {
            flag("--situation", name(&|| situation.to_possible_value()));
        }
        for case in &self.cases {
            flag("--case", name(&|| case.to_possible_value()));
        }
        if let Some(tier) = self.tier {
            flag("--tier", tier.name().to_owned());
        }
        flag("--format", name(&|| self.format.to_possible_value()));
        words.into_iter().map(OsString::from).collect()
    }
}

fn main() -> ExitCode {
    xtask::exit_code(match Line::parse().verb {
        Verb::Bench(arguments) => prepare(&arguments),
        Verb::BenchHere(options) => here::main(&options),
        Verb::GuestAgent => guest::agent::main().map(|()| 0),
    })
}

/// Measures with this program here as root, or in a guest.
fn prepare(arguments: &Arguments) -> Result<u8> {
    let consent = Consent::unless(arguments.no_setup);
    if !arguments.no_build {
        build_step::build(&build_step::BuildEnvironment::prepare(consent)?, Profile::Release)?;
    }
    let cache = Cache::locate()?;
    tools::fetch(&cache, consent)?;
    let mut words = vec![std::env::current_exe()?.into_os_string(), "bench-here".into()];
    words.extend(arguments.options.words());
    match arguments.on {
        Place::Host => on_host(&cache, &words),
        Place::Vm => in_guest(arguments.kernel, words, consent),
    }
}

fn on_host(cache: &Cache, words: &[OsString]) -> Result<u8> {
    // sudo has another home folder.
    let mut command = as_root("env");
    command.arg(format!("COPYTRACE_CACHE={}", cache.root().display())).args(words);
    // Its signals, its terminal and its exit status are this process's own.
    Err(command.exec()).context("cannot start this very program")
}

fn in_guest(kernel: KernelVersion, command: Vec<OsString>, consent: Consent) -> Result<u8> {
    let job = Job {
        command,
        environment: Vec::new(),
        terminal: None,
        input: Input::Nothing,
        output: Output::Inherited,
        timeout: None,
        quiet: false,
    };
    let hardware = Hardware { kernel, nic: Nic::E1000e, modules: Vec::new() };
    Prepared::new(&hardware, consent)?.run(job)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Given {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_guest_is_given_the_same_options() {
        let words = "x --rounds 2 --seconds 9 --connections 3 --situation small --case strace \
                     --tier kprobe --format json";
        let given = Given::parse_from(words.split_whitespace()).options.words();
        assert_eq!(
            given.join(&OsString::from(" ")).to_string_lossy(),
            words.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        );
    }
}
