//! `copytrace demo`: runs the strategies and measures what one message costs.

mod brokers;
pub mod nic;
mod options;
pub mod progress;
mod run;

use std::{io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use tracer::{
    expect::Expectation,
    report::{self, Format, Report, brokers::BrokerReport},
};

use super::{expect::conclude, output::Destination};

pub use options::{Options, Scenario};

/// Runs the verb. The exit status is 0 if every strategy was measured and no rule is broken, 3 if one is,
/// 128 + n after signal n.
pub fn run(options: Options, verbose: bool) -> anyhow::Result<ExitCode> {
    if options.list {
        workloads::strategy::write_list(&mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    options.check();
    let destination = Destination::of(options.output.as_deref(), Destination::Stdout)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure(&options, verbose) => report.map(Ok),
            interrupted = interrupted() => interrupted.map(Err),
        }
    })?;
    match report {
        Ok(report) => {
            print(&report, options.format, destination)?;
            Ok(conclude(report.expectations(), false))
        }
        Err(signal) => {
            eprintln!("copytrace: interrupted; nothing is left behind");
            Ok(ExitCode::from(128 + signal))
        }
    }
}

/// What a scenario measured.
enum Measured {
    Strategies(Report),
    Brokers(BrokerReport),
}

impl Measured {
    fn expectations(&self) -> &[Expectation] {
        match self {
            Self::Strategies(report) => &report.expectations,
            Self::Brokers(_) => &[],
        }
    }
}

async fn measure(options: &Options, verbose: bool) -> anyhow::Result<Measured> {
    match options.scenario {
        Scenario::Strategies => run::measure(options, verbose).await.map(Measured::Strategies),
        Scenario::Brokers => brokers::measure(options, verbose).await.map(Measured::Brokers),
    }
}

/// Waits for a signal that asks the run to end, and gives its number.
async fn interrupted() -> anyhow::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => libc::SIGINT as u8,
        _ = terminate.recv() => libc::SIGTERM as u8,
        _ = hang_up.recv() => libc::SIGHUP as u8,
    })
}

fn print(report: &Measured, format: Format, mut to: Destination) -> anyhow::Result<()> {
    to.print(|style, out| match report {
        Measured::Strategies(report) => report::write(format, report, style, out),
        Measured::Brokers(report) => report::brokers::write(format, report, style, out),
    })
}
