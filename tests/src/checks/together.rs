//! Several programs, several copytrace, and some that end early: each report is right, the traced program
//! continues, and nothing stays in the kernel.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context, Tier};
use crate::processes::ProcessStatus;
use crate::support::left::Before;
use crate::support::report::Document;
use crate::support::sink::Sink;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal, until, wait_until};
use xtask::command;

/// More than one at once, and early ends.
pub const CHECKS: [Check; 8] = [
    Check { name: "another user’s command", run: as_another_user },
    Check { name: "two programs at once", run: two_programs },
    Check { name: "three copytrace at once, in two tiers", run: two_copytrace },
    Check { name: "attach: SIGHUP", run: hang_up_attach },
    Check { name: "attach: SIGKILL", run: killed_attach },
    Check { name: "run: SIGHUP", run: hang_up_run },
    Check { name: "run: the terminal goes away", run: lost_terminal },
    Check { name: "run: SIGKILL", run: killed_run },
];

const MIB: usize = 1 << 20;

/// SIGHUP in a mask of signals.
const HANG_UP: u64 = 1 << (libc::SIGHUP - 1);

/// `bytes` bytes went through a traced [`Sink`].
fn check_sink(document: &Document, pid: u32, bytes: usize) -> Result<()> {
    let flow = document.flows.iter().find(|flow| {
        flow.process.pid == Some(pid)
            && flow.source.kind == "pipe"
            && flow.destination.name == "/dev/null"
    });
    let flow = flow.with_context(|| format!("no flow of process {pid}"))?;
    ensure!(flow.payload_bytes == bytes as u64, "{} of {bytes} bytes", flow.payload_bytes);
    let copies = flow.copies_per_byte.cpu;
    ensure!(copies == Some(1.0), "{copies:?} copies per byte");
    Ok(())
}

/// Ends an attached copytrace by a signal; its report is complete.
fn finish(mut attach: Child, by: i32) -> Result<()> {
    signal(&attach, by)?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    Ok(())
}

fn as_another_user(context: &Context) -> Result<()> {
    const NOBODY: &str = "65534";
    let (folder, _) = folder_with_file()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let report = folder.path().join("report");
    let mut traced = context.trace_with(&["--user", NOBODY], &report, Path::new("sh"));
    let script = "id -u; exec cat payload > /dev/null";
    let said = command::run(traced.args(["-c", script]).current_dir(folder.path()))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.trim() == NOBODY, "it ran as {said}");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
    flow.check_payload(FILE_BYTES, 1.0)
}

/// Two programs, and one copytrace.
fn two_programs(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let (mut one, mut other) = (Sink::start()?, Sink::start()?);
    let flags = ["--per", "process", "--pid", &one.pid().to_string()];
    let attach = context.attached(&flags, &report, other.pid())?;
    one.wake()?;
    other.wake()?;
    one.give(3 * MIB)?;
    other.give(5 * MIB)?;
    finish(attach, libc::SIGINT)?;
    let document = Document::read(&report)?;
    check_sink(&document, one.pid(), 3 * MIB)?;
    check_sink(&document, other.pid(), 5 * MIB)?;
    one.end()?;
    other.end()
}

/// Two copytrace trace one program, in different tiers where there are several, while a third runs
/// another program.
fn two_copytrace(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    let report = |name: &str| place.join(name);
    let before = Before::new(context)?;
    let mut sink = Sink::start()?;
    let without_probes = Context { tier: Tier::Tracepoint, ..context.clone() };
    let one = context.attached(&[], &report("one"), sink.pid())?;
    let other = without_probes.attached(&[], &report("other"), sink.pid())?;
    sink.wake()?;
    sink.give(MIB)?;
    let mut dd = context.trace(&report("third"), Path::new("dd"));
    dd.args(["if=payload", "of=copied", "bs=64k", "status=none"]).current_dir(place);
    command::run(&mut dd)?;
    sink.give(MIB)?;
    finish(one, libc::SIGINT)?;
    // The other one continues.
    sink.give(MIB)?;
    finish(other, libc::SIGINT)?;
    check_sink(&Document::read(&report("one"))?, sink.pid(), 2 * MIB)?;
    check_sink(&Document::read(&report("other"))?, sink.pid(), 3 * MIB)?;
    let third = Document::read(&report("third"))?;
    let flow = third.flow(("file", "payload"), ("file", "copied"))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    ensure!(third.flow(("pipe", ""), ("other", "")).is_err(), "it has another’s flow, too");
    sink.end()?;
    before.check()
}

/// SIGHUP ends `attach`, with its report.
fn hang_up_attach(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let before = Before::new(context)?;
    let mut sink = Sink::start()?;
    let attach = context.attached(&[], &report, sink.pid())?;
    sink.wake()?;
    sink.give(MIB)?;
    finish(attach, libc::SIGHUP)?;
    sink.give(MIB)?;
    check_sink(&Document::read(&report)?, sink.pid(), MIB)?;
    sink.end()?;
    before.check()
}

/// SIGHUP for `run` is passed on to the command; when that has ended, the report follows.
fn hang_up_run(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    let report = place.join("report");
    let mut traced = context.trace(&report, Path::new("sh"));
    traced.args(["-c", "cat payload > /dev/null; : > started; exec sleep 60"]).current_dir(place);
    // The caller of the checks may ignore the signal, and the command would inherit that.
    // SAFETY: it is a system call, with no pointers.
    unsafe {
        traced.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        })
    };
    let mut copytrace = traced.spawn()?;
    wait_until("the command has begun", &mut copytrace, || place.join("started").exists())?;
    signal(&copytrace, libc::SIGHUP)?;
    let status = copytrace.wait()?;
    ensure!(status.signal() == Some(libc::SIGHUP), "it ended with {status}, not as the command");
    let document = Document::read(&report)?;
    document.flow(("file", "payload"), ("other", "/dev/null"))?.check_payload(FILE_BYTES, 1.0)
}

/// A command that outlives its terminal: it reads the file, waits for another file, and reads the first
/// one again.
const GOES_ON: &str = "trap '' HUP; cat payload > /dev/null; : > started; \
     while [ ! -e go ]; do sleep 0.1; done; cat payload > /dev/null; : > done; exit 7";

/// The terminal of `run` goes away, and the command continues: so does copytrace.
fn lost_terminal(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    let report = place.join("report");
    let before = Before::new(context)?;
    let (terminal, user) = terminal()?;
    let mut traced = context.trace_on_terminal(&report, Path::new("sh"));
    traced.args(["-c", GOES_ON]).current_dir(place);
    for set in [Command::stdin::<OwnedFd>, Command::stdout, Command::stderr] {
        set(&mut traced, user.try_clone()?);
    }
    drop(user);
    // SAFETY: between fork and exec it makes system calls only.
    unsafe { traced.pre_exec(take_terminal) };
    let mut copytrace = traced.spawn()?;
    // The command keeps copies of the terminal's descriptors.
    drop(traced);
    wait_until("the command has begun", &mut copytrace, || place.join("started").exists())?;
    drop(terminal);
    let pid = copytrace.id();
    wait_until("copytrace has heard of it", &mut copytrace, || has_hung_up(pid))?;
    std::fs::write(place.join("go"), "")?;
    let status = copytrace.wait()?;
    ensure!(status.code() == Some(7), "the command’s status became {status}");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
    flow.check_payload(2 * FILE_BYTES, 1.0)?;
    before.check()
}

/// The two ends of a new terminal: the controlling side, and the terminal itself.
pub fn terminal() -> Result<(OwnedFd, OwnedFd)> {
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: it writes two descriptors through the pointers, and accepts null for the others.
    let result = unsafe {
        libc::openpty(&raw mut ours, &raw mut theirs, null, std::ptr::null(), std::ptr::null())
    };
    ensure!(result == 0, "no terminal: {}", std::io::Error::last_os_error());
    // SAFETY: the call has just given us both.
    let ends = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    rustix::io::fcntl_setfd(&ends.0, rustix::io::FdFlags::CLOEXEC)?;
    Ok(ends)
}

/// Whether a process has lost its terminal, and has taken SIGHUP.
fn has_hung_up(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = ["SigPnd:", "ShdPnd:"].map(|name| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
    });
    let taken = pending.iter().all(|mask| mask.is_some_and(|mask| mask & HANG_UP == 0));
    taken && ProcessStatus::of(pid).is_some_and(|process| process.terminal == 0)
}

/// In the child: a session of its own, whose terminal is standard input.
fn take_terminal() -> std::io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    Ok(())
}

/// SIGKILL ends `run` at once; the command continues.
fn killed_run(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    let before = Before::new(context)?;
    let mut traced = context.trace(&place.join("report"), Path::new("sh"));
    let mut copytrace = traced.args(["-c", GOES_ON]).current_dir(place).spawn()?;
    wait_until("the command has begun", &mut copytrace, || place.join("started").exists())?;
    copytrace.kill()?;
    let status = copytrace.wait()?;
    ensure!(status.signal() == Some(libc::SIGKILL), "{status} after SIGKILL");
    before.check()?;
    std::fs::write(place.join("go"), "")?;
    until("the command has gone on", || Ok(place.join("done").exists()))
}

/// SIGKILL ends `attach` at once; the program continues.
fn killed_attach(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let before = Before::new(context)?;
    let mut sink = Sink::start()?;
    let mut attach = context.attached(&[], &folder.path().join("report"), sink.pid())?;
    sink.give(MIB)?;
    ensure!(!before.new_programs().is_empty(), "the kernel lists no program of copytrace");
    attach.kill()?;
    attach.wait()?;
    before.check()?;
    sink.give(MIB)?;
    sink.end()
}
