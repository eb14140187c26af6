//! The command `copytrace`: one file a verb.

mod brokers;
mod bundled;
mod demo;
mod diff;
mod doctor;
mod expect;
mod explain;
mod inherited;
mod kernel;
mod limits;
mod machine;
mod manual;
mod memory;
mod origin;
mod output;
mod programs;
mod progress;
mod report;
mod rights;
mod rows;
mod schema;
mod shell;
mod trace;
mod usage;
mod user;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracer_ledger::report::escape::plain;

/// Measures in the kernel how often a program's data is copied on its way from disk to network, and how
/// often the CPU switches between user and kernel mode for it.
#[derive(Debug, Parser)]
#[command(name = "copytrace", version = env!("COPYTRACE_VERSION"), max_term_width = 100)]
struct Cli {
    /// Show details in the result, and the attached probes on stderr; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Colour the result; `auto` heeds NO_COLOR, CLICOLOR_FORCE and TERM
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: clap::ColorChoice,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the textbook's strategies and measure the copies and mode switches of one message
    Demo(Box<demo::Options>),
    /// Draw the way of one message: each movement of its bytes, and each mode switch
    Explain(Box<explain::Options>),
    /// Run models of Kafka and RocketMQ, and measure their speed and their copies
    Brokers(Box<brokers::Options>),
    /// Run a command, and report the ways of its data and the copies
    Run(Box<trace::RunOptions>),
    /// Trace running processes, and report the same
    Attach(Box<trace::AttachOptions>),
    /// Render a recording of `--record`
    Report(report::Options),
    /// Compare two recordings
    Diff(diff::Options),
    /// Report what can be measured on this kernel, and what is missing
    Doctor(doctor::Options),
    /// Print the JSON Schema of the documents that `--format json` prints
    Schema(schema::Options),
    /// Print completions for a shell
    Completions(shell::CompletionOptions),
    /// Write manual pages
    Man(shell::ManOptions),
    /// The processes that `demo` and `brokers` start
    #[command(flatten)]
    Child(workloads::child::Child),
    /// Turns a device's scatter-gather on again when its standard input ends
    #[command(name = bundled::nic::GUARD_VERB, hide = true)]
    Guard(bundled::nic::GuardArgs),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| usage::exit(&usage::hinting(error)));
    output::set_look(cli.color, cli.verbose > 0);
    limits::raise();
    start_log(cli.verbose);
    let result = match cli.verb {
        Verb::Demo(options) => demo::run(&options, cli.verbose > 0),
        Verb::Explain(options) => explain::run(&options, cli.verbose > 0),
        Verb::Brokers(options) => brokers::run(&options, cli.verbose > 0),
        Verb::Run(options) => trace::run(&options, cli.verbose > 0),
        Verb::Attach(options) => trace::attach(&options, cli.verbose > 0),
        Verb::Report(options) => report::run(&options),
        Verb::Diff(options) => diff::run(&options),
        Verb::Completions(options) => shell::completions::<Cli>(&options),
        Verb::Man(options) => shell::man::<Cli>(&options),
        Verb::Doctor(options) => doctor::run(&options, cli.verbose > 0),
        Verb::Schema(options) => schema::run(&options),
        Verb::Child(child) => return child.run(),
        Verb::Guard(args) => bundled::nic::guard(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        say(&format!("copytrace: {error:#}{}", limits::advice(&error)));
        ExitCode::FAILURE
    })
}

/// Prints lines for the user on stderr, with escapes in names made harmless. If the terminal is gone, or
/// a pipe stays full, they are dropped. They bypass the lock of [`std::io::stderr`], which the writer of
/// a report may hold.
fn say(text: &str) {
    const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
    let lines: Vec<_> = text.lines().map(plain).collect();
    let text = format!("{}\n", lines.join("\n"));
    let stderr = rustix::stdio::stderr();
    if let Ok(1..) = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&PATIENCE)) {
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    let write = |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        writeln!(out, "copytrace: {}", plain(&record.args().to_string()))
    };
    env_logger::Builder::new().filter_level(level).format(write).init();
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

    use super::{Cli, usage};

    fn parse(line: &str) -> clap::error::Result<Cli> {
        Cli::try_parse_from(format!("copytrace {line}").split(' '))
    }

    #[test]
    fn the_arguments_are_as_clap_wants_them() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbs_of_bundled_workloads_share_options() {
        let shared = "--messages 1 --message-size 4KiB --cache warm --rounds 1 --to loopback \
                      --nic-sg off --all-copy-sites --tier kprobe --verify --dir / --format json \
                      --output x";
        for verb in ["demo", "brokers"] {
            parse(&format!("{verb} {shared}")).unwrap();
        }
        parse(
            "explain splice recv --ascii -z 4KiB --cache warm --to loopback --nic-sg off -o x.svg",
        )
        .unwrap();
        parse("demo --rounds 0").unwrap();
        parse("brokers --message-size 1KiB --message-size 1MiB --cache cold --cache warm").unwrap();
        parse("brokers --flavour kafka --consumers 1 --consumers 2 --rounds 1 --producers 1")
            .unwrap();
    }

    #[test]
    fn what_is_of_the_programs_themselves_is_asked_for_with_them() {
        parse("brokers --real --quick --kafka-home DIR --rocketmq-home DIR").unwrap();
        for line in ["brokers --quick", "brokers --kafka-home DIR", "brokers --rocketmq-home DIR"] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{line}");
        }
        for line in ["brokers --real --consumers 2", "brokers --real --cache cold"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
        }
    }

    #[test]
    fn options_of_one_verb_do_not_exist_on_another() {
        for line in [
            "demo --scenario brokers",
            "demo --flavour kafka",
            "demo --consumers 1",
            "explain sendfile --rounds 1",
            "demo --producers 1",
            "brokers --strategy sendfile",
            "explain sendfile --messages 2",
            "demo --ascii",
            "brokers --list",
            "brokers --stacks",
            "attach --follow no",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownArgument, "{line}");
        }
        let elsewhere = parse("brokers --to dummy").unwrap_err();
        assert_eq!(elsewhere.kind(), ErrorKind::InvalidValue);
    }

    #[test]
    fn who_asks_for_a_scenario_is_told_of_the_verb() {
        for line in ["demo --scenario brokers --rounds 1", "demo --scenario=brokers"] {
            let error = usage::hinting(parse(line).unwrap_err()).to_string();
            assert!(error.contains("'--scenario'"), "{error}");
            assert!(error.contains("`copytrace brokers`"), "{error}");
        }
        let other = usage::hinting(parse("demo --scene brokers").unwrap_err()).to_string();
        assert!(!other.contains("copytrace brokers"), "{other}");
    }
}
