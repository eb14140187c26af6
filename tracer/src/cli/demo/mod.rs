//! `copytrace demo`: runs the strategies and measures what one message costs.

pub mod nic;
mod options;
mod progress;
mod run;

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracer::report::{self, Format, Report, Style};

pub use options::Options;

/// Width of the table where the terminal does not say its own, in columns.
const WIDTH: u16 = 100;

/// Runs the verb. The exit status is 0 if every strategy was measured, 128 + n after signal n.
pub fn run(options: Options, verbose: bool) -> anyhow::Result<ExitCode> {
    if options.list {
        workloads::strategy::write_list(&mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    // Before the run, so that a long one never ends in "permission denied".
    let output = options.output.as_deref().map(create).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run::measure(&options, verbose) => report.map(Ok),
            interrupted = interrupted() => interrupted.map(Err),
        }
    })?;
    match report {
        Ok(report) => print(&report, options.format, output).map(|()| ExitCode::SUCCESS),
        Err(signal) => {
            eprintln!("copytrace: interrupted; nothing is left behind");
            Ok(ExitCode::from(128 + signal))
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write the result to {}", path.display()))
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

fn print(report: &Report, format: Format, output: Option<File>) -> anyhow::Result<()> {
    let style = match output {
        Some(_) => Style { color: false, width: WIDTH },
        None => Style { color: color(), width: width() },
    };
    let mut out: Box<dyn Write> = match output {
        Some(file) => Box::new(file),
        None => Box::new(io::stdout().lock()),
    };
    match report::write(format, report, &style, &mut out).and_then(|()| out.flush()) {
        // Whoever read the result, such as `head`, has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result"),
    }
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> have it.
fn color() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && (set("CLICOLOR_FORCE") || io::stdout().is_terminal())
}

/// Never wider than the table was made for.
fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = columns.or_else(|| {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    });
    columns.map_or(WIDTH, |columns: u16| columns.min(WIDTH))
}
