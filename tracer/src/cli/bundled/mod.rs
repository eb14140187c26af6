//! Shared parts of the verbs with bundled workloads, `demo`, `explain` and `brokers`: options, the
//! network, and the end of a run.

pub mod network;
pub mod nic;
mod options;

use std::{io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use tracer_ledger::report::Style;

use super::output::{Destination, Form, Outputs, print_to_all};

pub use options::{Options, ScatterGather};

/// The running program, which has the sender, the consumer and the broker among its verbs.
pub const SELF: &str = "/proc/self/exe";

/// Measures, and writes the report. The exit status is what `judge` makes of it, or 128 + n after signal n.
pub fn run<R, F: Form>(
    outputs: &Outputs<F>,
    measure: impl Future<Output = anyhow::Result<R>>,
    write: impl Fn(F, &R, &Style, &mut dyn io::Write) -> io::Result<()>,
    judge: impl FnOnce(&R) -> ExitCode,
) -> anyhow::Result<ExitCode> {
    let outputs = outputs.open(Destination::Stdout)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure => report.map(Ok),
            interrupted = interrupted() => interrupted.map(Err),
        }
    })?;
    match report {
        Ok(report) => {
            print_to_all(outputs, |format, style, out| write(format, &report, style, out))?;
            Ok(judge(&report))
        }
        Err(signal) => {
            eprintln!("copytrace: interrupted; nothing is left behind");
            Ok(ExitCode::from(128 + signal))
        }
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
