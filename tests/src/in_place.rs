//! One check, in a process of its own: it is watched, and must leave nothing behind.

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

/// More than any check takes, in seconds of the usual machine.
pub const DEADLINE: u64 = 600;

/// How long a process that was told to end may take, in seconds of the usual machine.
const TO_END: u64 = 10;

/// How often is looked whether the check must end.
const TICK: Duration = Duration::from_millis(100);

/// Where checks keep files; in a guest nobody else does.
const FOLDER: &str = "/var/tmp";

/// `tests in-place`
#[derive(clap::Args)]
pub struct Arguments {
    /// What it runs with, as JSON
    context: String,
    /// The name of the check
    name: String,
}

/// Makes the check; says on stdout what came of it, as JSON, and nothing else.
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

/// What is said to whoever wants the check made. It is said once.
#[derive(Clone)]
struct Answer(Arc<Mutex<Option<File>>>);

impl Answer {
    /// Takes this process's stdout; what checks and their programs print goes to stderr.
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

/// Ends this process, and all that descends from it, when it takes too long, when it is told to end,
/// or when nobody is left who wants to know.
fn watch(answer: &Answer) -> Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    // Programs that are started have these signals as ever: a handler does not outlive `exec`.
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
        // If nobody listens any more, there is nobody to tell.
        let _ = answer.give(&Outcome::Failed(what));
        std::process::exit(1);
    });
    Ok(())
}

/// Nothing that the check has started runs on.
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
        // The next check must not stumble over it.
        let _ = std::fs::remove_file(file).or_else(|_| std::fs::remove_dir_all(file));
    }
    ensure!(left.is_empty(), "files were left behind: {left:?}");
    Ok(())
}
