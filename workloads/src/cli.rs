//! The command `workloads`: the strategies without any tracing.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::{
    Cache, Error, Outcome, PayloadFile, Receiver, Shape,
    child::Child,
    consumer,
    consumer::ListenArgs,
    sender::{self, Request},
    size, strategy,
};

/// Send a file of random content to a consumer, in the ways copytrace measures
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Receive a payload, and answer with count and hash
    Consume(ListenArgs),
    /// List the strategies
    List,
    /// Send, without tracing, and print a JSON document on the transfer
    Send(SendArgs),
    #[command(flatten)]
    Child(Child),
}

#[derive(Debug, Args)]
struct SendArgs {
    /// Send by this strategy: see `workloads list`
    #[arg(long, value_name = "NAME")]
    strategy: String,
    /// Send to the consumer at this address, if the strategy needs one; `dummy` for a device that drops
    /// datagrams
    #[arg(long, value_name = "ADDR:PORT|dummy")]
    to: Option<Receiver>,
    /// Send this number of messages
    #[arg(long, default_value_t = 256)]
    messages: u64,
    /// Send messages of this size
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size::parse)]
    message_size: u64,
    /// Drop the payload from the page cache first, or read it in
    #[arg(long, value_enum, default_value_t = Cache::Cold)]
    cache: Cache,
    /// Create the payload in this directory, on the disk to read from
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command line.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.verb {
        Verb::Consume(args) => consumer::consume(&args).map_err(Into::into),
        Verb::List => strategy::write_list(&mut io::stdout().lock()).map_err(Into::into),
        Verb::Send(args) => send(&args),
        Verb::Child(child) => return child.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn send(args: &SendArgs) -> anyhow::Result<()> {
    let strategy = strategy::find(&args.strategy)?;
    let shape = Shape::new(args.messages, args.message_size)?;
    let payload = PayloadFile::create(&args.dir, shape, rand::random())?;
    let path = format!("/proc/self/fd/{}", payload.as_fd().as_raw_fd());
    let file =
        File::open(&path).map_err(Error::os_advice(format!("open {path}"), "mount /proc"))?;
    let hash = payload.hash();
    let (dir, to, cache, seed) = (args.dir.clone(), args.to, args.cache, payload.seed());
    let request = Request { strategy, shape, file, hash, seed, dir, to, cache };
    let outcome = sender::send(&request, |_| Ok(true))?.context("the transfer was not started")?;
    report(&outcome, &payload)
}

fn report(outcome: &Outcome, payload: &PayloadFile) -> anyhow::Result<()> {
    let seconds = outcome.elapsed_ns as f64 / 1e9;
    let rate = (outcome.bytes as f64 / seconds) as u64;
    eprintln!(
        "{} in {seconds:.6} s, {} a second, from {}",
        tracer_ledger::size(outcome.bytes),
        tracer_ledger::size(rate),
        payload.disk(),
    );
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(outcome)?)?;
    Ok(())
}
