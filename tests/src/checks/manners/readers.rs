//! A reader of the reports that has stopped reading: neither the command nor the user waits for it.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{run, with_default_signals};
use crate::check::{Check, Context};
use crate::support::sink::Sink;
use crate::support::traced::{signal, until, wait_until};

/// Pipes that stay full.
pub const CHECKS: [Check; 3] = [
    Check { name: "attach: nobody reads its reports", run: attach },
    Check { name: "run: nobody reads its reports", run: command },
    Check { name: "run: a csv of many reports has one header", run: one_header },
];

/// Frequent reports, until the pipe is full.
const OFTEN: [&str; 4] = ["--interval", "20ms", "--format", "json"];

/// Longer than copytrace takes to handle a signal.
const A_MOMENT: Duration = Duration::from_millis(500);

/// A program whose standard output is a pipe of one page that nobody reads.
struct Unread {
    program: Child,
    _reads: OwnedFd,
    writes: OwnedFd,
}

impl Unread {
    fn start(mut program: Command) -> Result<Self> {
        let (reads, writes) = rustix::pipe::pipe()?;
        rustix::pipe::fcntl_setpipe_size(&writes, 4096)?;
        with_default_signals(&mut program);
        let program = program.stdout(writes.try_clone()?).stderr(Stdio::null()).spawn()?;
        Ok(Self { program, _reads: reads, writes })
    }

    fn fill(&mut self) -> Result<()> {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_full =
            || poll(&mut [PollFd::new(&self.writes, PollFlags::OUT)], Some(&AT_ONCE)) == Ok(0);
        wait_until("the pipe is full", &mut self.program, is_full)?;
        // It blocks when the next report begins.
        std::thread::sleep(A_MOMENT);
        Ok(())
    }

    /// The exit status after one more signal.
    fn end(&mut self, number: i32) -> Result<Option<i32>> {
        signal(&self.program, number)?;
        until("it has ended", || Ok(self.program.try_wait()?.is_some()))?;
        Ok(self.program.wait()?.code())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It has ended, unless the check fails.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// The second signal ends it, without the report, and leaves the process alone.
fn attach(context: &Context) -> Result<()> {
    for number in [libc::SIGINT, libc::SIGTERM] {
        let sink = Sink::start()?;
        let mut attach = Command::new(&context.copytrace);
        attach.args(["attach", "--tier", context.tier.name(), "--pid", &sink.pid().to_string()]);
        attach.args(OFTEN);
        let mut attach = Unread::start(attach)?;
        attach.fill()?;
        signal(&attach.program, number)?;
        std::thread::sleep(A_MOMENT);
        let status = attach.end(number)?;
        ensure!(status == Some(1), "signal {number}: it ended with {status:?}");
        sink.end()?;
    }
    Ok(())
}

/// A signal reaches the command all the same; after the command's end, one more ends copytrace with its
/// status.
fn command(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = "trap ': > ended; exit 9' TERM; while :; do sleep 0.05; done";
    let flags = [&OFTEN[..], &["--output", "-"]].concat();
    let mut traced = run(context, &flags, &["sh", "-c", script]);
    traced.current_dir(folder.path());
    let mut traced = Unread::start(traced)?;
    traced.fill()?;
    signal(&traced.program, libc::SIGTERM)?;
    let ended = folder.path().join("ended");
    wait_until("the command has ended", &mut traced.program, || ended.exists())?;
    std::thread::sleep(A_MOMENT);
    let status = traced.end(libc::SIGTERM)?;
    ensure!(status == Some(9), "the command’s status became {status:?}");
    Ok(())
}

/// Programs that read CSV take the first line for the names, and any other for a flow.
fn one_header(context: &Context) -> Result<()> {
    let csv = |flags: &[&str], command: &[&str]| {
        let flags = [flags, &["--format", "csv", "--output", "-"]].concat();
        let output = run(context, &flags, command).output()?;
        ensure!(output.status.success(), "it ended with {}", output.status);
        Ok(super::text(&output.stdout))
    };
    let headers = |text: &str| text.lines().filter(|line| line.starts_with("comm,pid,")).count();
    let many = csv(&["--interval", "50ms"], &["sh", "-c", "cat /etc/passwd > /dev/null; sleep 1"])?;
    ensure!(many.starts_with("comm,pid,"), "it begins with {:?}", many.lines().next());
    ensure!(headers(&many) == 1, "there are {} headers", headers(&many));
    ensure!(many.matches(",/etc/passwd,").count() > 1, "there was one report: {many}");
    let none = csv(&[], &["true"])?;
    ensure!(headers(&none) == 1, "it wrote {none:?}");
    Ok(())
}
