//! The command `copytrace`: one file a verb.

mod demo;
mod diff;
mod doctor;
mod expect;
mod inherited;
mod kernel;
mod limits;
mod machine;
mod memory;
mod origin;
mod output;
mod report;
mod schema;
mod shell;
mod trace;
mod usage;
mod user;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use tracer::report::escape::plain;

/// Shows, measured in the kernel, how often a program's data is really copied on its way from
/// disk to network, and how often the CPU switches between user and kernel mode for it.
#[derive(Debug, Parser)]
#[command(name = "copytrace", version = env!("COPYTRACE_VERSION"), max_term_width = 100)]
struct Cli {
    /// Say on stderr what the eBPF programs see and what is attached; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colour; `auto` heeds NO_COLOR, CLICOLOR_FORCE and TERM
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: clap::ColorChoice,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the documents' strategies and measure what one message costs
    Demo(Box<demo::Options>),
    /// Run a command, and say which way its data takes and how often it is copied
    Run(Box<trace::RunOptions>),
    /// The same for processes that run already
    Attach(Box<trace::AttachOptions>),
    /// Render what `--record` kept
    Report(report::Options),
    /// Compare two recordings
    Diff(diff::Options),
    /// Say what this kernel offers, which tier follows, and which witnesses were found
    Doctor(doctor::Options),
    /// Print the JSON Schema of the documents that `--format json` prints
    Schema(schema::Options),
    /// Print completions for a shell
    Completions(shell::CompletionOptions),
    /// Write manual pages
    Man(shell::ManOptions),
    /// The processes that `demo` starts
    #[command(flatten)]
    Child(workloads::child::Child),
    /// Turns a device's scatter-gather on again when its standard input ends
    #[command(name = demo::nic::GUARD_VERB, hide = true)]
    Guard(demo::nic::GuardArgs),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    output::set_color(cli.color);
    limits::raise();
    start_log(cli.verbose);
    let result = match cli.verb {
        Verb::Demo(options) => demo::run(*options, cli.verbose > 0),
        Verb::Run(options) => trace::run(&options, cli.verbose > 0),
        Verb::Attach(options) => trace::attach(&options, cli.verbose > 0),
        Verb::Report(options) => report::run(&options),
        Verb::Diff(options) => diff::run(&options),
        Verb::Completions(options) => shell::completions::<Cli>(&options),
        Verb::Man(options) => shell::man::<Cli>(&options),
        Verb::Doctor(options) => doctor::run(&options),
        Verb::Schema(options) => schema::run(&options),
        Verb::Child(child) => return child.run(),
        Verb::Guard(args) => demo::nic::guard(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        say(&format!("copytrace: {error}{}", limits::advice(&error)));
        ExitCode::FAILURE
    })
}

/// Lines for the user on stderr, in which no name says anything to the terminal. If that is gone,
/// nobody misses them, and `eprintln!` would panic.
fn say(text: &str) {
    let lines: Vec<_> = text.lines().map(plain).collect();
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_level(level).format_timestamp(None).init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_as_clap_wants_them() {
        super::Cli::command().debug_assert();
    }
}
