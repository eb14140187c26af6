//! One check, in its own process: it is watched, and must leave nothing behind.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::getppid;

use crate::check::{Context, Outcome};
use crate::kernel_log::KernelLog;
use crate::{checks, pace, processes};

/// The time limit of a check, in seconds of the usual machine.
pub const DEADLINE: u64 = 600;

/// The time a process has to end after a signal, in seconds of the usual machine.
const TO_END: u64 = 10;

/// The interval at which the end of the check is tested.
const TICK: Duration = Duration::from_millis(100);

/// The directory of the checks' files; in a guest only they use it.
const FOLDER: &str = "/var/tmp";

/// `tests in-place`
#[derive(clap::Args)]
pub struct Arguments {
    /// The context, as JSON
    context: String,
    /// The name of the check
    name: String,
}

/// Makes the check; prints its outcome on stdout, as JSON, and nothing else.
pub fn main(arguments: &Arguments) -> Result<()> {
    let context: Context = serde_json::from_str(&arguments.context)?;
    let check = checks::find(&arguments.name)
        .with_context(|| format!("there is no check {:?}", arguments.name))?;
    pace::set(context.pace);
    let answer = Answer::take_stdout()?;
    processes::adopt_orphans()?;
    watch(&answer)?;
    let before = if context.in_guest { files() } else { BTreeSet::new() };
    let kernel_log = KernelLog::from_now();
    let made = (check.run)(&context);
    let clean = nothing_runs().and_then(|()| match context.in_guest {
        true => nothing_is_left(&before),
        false => Ok(()),
    });
    let outcome = match Outcome::from(made.and(clean)) {
        Outcome::Failed(what) => Outcome::Failed(what + &kernel_log.said()),
        outcome => outcome,
    };
    answer.give(&outcome)
}

/// The channel for the outcome, used once.
#[derive(Clone)]
struct Answer(Arc<Mutex<Option<File>>>);

impl Answer {
    /// Takes this process's stdout; other output of checks and programs goes to stderr.
    fn take_stdout() -> Result<Self> {
        let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        Ok(Self(Arc::new(Mutex::new(Some(stdout.into())))))
    }

    fn give(&self, outcome: &Outcome) -> Result<()> {
        let stdout = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match stdout {
            Some(mut stdout) => Ok(stdout.write_all(&serde_json::to_vec(outcome)?)?),
            None => Ok(()),
        }
    }
}

/// Ends this process and all its descendants at the time limit, at a signal, or when the reader of the
/// outcome is gone.
fn watch(answer: &Answer) -> Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    // Programs that are started get the default signals: a handler does not outlive `exec`.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    let (answer, parent, since) = (answer.clone(), getppid(), Instant::now());
    std::thread::spawn(move || {
        let limit = pace::seconds(DEADLINE);
        while since.elapsed() < limit && !told.load(Ordering::Relaxed) && getppid() == parent {
            std::thread::sleep(TICK);
        }
        let running = processes::describe(&processes::descendants());
        let what = format!("it was ended after {:?}; running:\n{running}", since.elapsed());
        processes::kill_descendants();
        // If the reader is gone, there is no one to report to.
        let _ = answer.give(&Outcome::Failed(what));
        std::process::exit(1);
    });
    Ok(())
}

/// Checks that no descendant of the check still runs.
fn nothing_runs() -> Result<()> {
    let limit = Instant::now() + pace::seconds(TO_END);
    loop {
        processes::reap();
        let left = processes::descendants();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > limit {
            let what = processes::describe(&left);
            processes::kill_descendants();
            ensure!(false, "processes were left behind:\n{what}");
        }
        std::thread::sleep(TICK / 10);
    }
}

fn files() -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn nothing_is_left(before: &BTreeSet<PathBuf>) -> Result<()> {
    let left: Vec<_> = files().difference(before).cloned().collect();
    for file in &left {
        // The next check must not find it.
        let _ = std::fs::remove_file(file).or_else(|_| std::fs::remove_dir_all(file));
    }
    ensure!(left.is_empty(), "files were left behind: {left:?}");
    Ok(())
}
