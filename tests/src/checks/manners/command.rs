//! The command keeps its standard output, its terminal, its signals, and the processes it leaves behind.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{NOBODY, ensure_success, run, text, with_default_signals};
use crate::check::{Check, Context};
use crate::checks::together::terminal;
use crate::support::report::Document;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal, until, wait_until};

/// Changes that the command must not notice.
pub const CHECKS: [Check; 6] = [
    Check { name: "run: standard output is the command’s", run: output_is_the_commands },
    Check { name: "run: a format for programs needs --output", run: formats_for_programs },
    Check { name: "run: a terminal has what the command wrote", run: terminal_is_the_commands },
    Check { name: "run: SIGINT is the command’s", run: interrupt },
    Check { name: "run: a daemon is left behind", run: daemon },
    Check { name: "run: a setuid program", run: setuid },
];

/// Checks that do not depend on the kernel.
pub const ON_ANY_KERNEL: [Check; 6] = [
    Check { name: "run: options without effect", run: useless_options },
    Check { name: "run: a report every so often, a line each", run: lines },
    Check { name: "run: a report in between cannot be written", run: unwritable },
    Check { name: "run: closed descriptors, ignored signals", run: inherited },
    Check { name: "run: a signal at the parent’s death", run: parents_death },
    Check { name: "run: a signal to its process group", run: signal_to_the_group },
];

/// `run -- cat x > y` leaves a copy of x in y; the report is on standard error, or in the named file.
fn output_is_the_commands(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let copy = folder.path().join("copy");
    let file_name = file.display().to_string();
    let mut cat = run(context, &[], &["cat", &file_name]);
    let output = cat.stdout(File::create(&copy)?).output()?;
    ensure_success(&output)?;
    ensure!(std::fs::read(&copy)? == std::fs::read(&file)?, "the copy is another file");
    ensure!(text(&output.stderr).contains("payload"), "no report: {}", text(&output.stderr));
    let output = run(context, &["--output", "-"], &["true"]).output()?;
    ensure!(text(&output.stdout).contains("Traced"), "no report on standard output");
    ensure!(output.stderr.is_empty(), "it said {}", text(&output.stderr));
    Ok(())
}

/// Two writers to one stream, which no program could read, are an error before the command starts.
fn formats_for_programs(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = folder.path().join("started");
    let started_name = started.display().to_string();
    for format in ["json", "jsonl", "csv", "folded", "pprof"] {
        let output = run(context, &["--format", format], &["touch", &started_name]).output()?;
        ensure!(output.status.code() == Some(2), "{format}: {}", output.status);
        ensure!(text(&output.stderr).contains("--output"), "{}", text(&output.stderr));
        ensure!(!started.exists(), "{format}: the command was started");
    }
    let output = run(context, &["--format", "json", "--output", "-"], &["true"]).output()?;
    ensure_success(&output)?;
    serde_json::from_slice::<serde_json::Value>(&output.stdout).context("no JSON")?;
    Ok(())
}

/// An option that would have no effect is an error, before the command starts.
fn useless_options(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = folder.path().join("started");
    let started_name = started.display().to_string();
    for flags in [
        &["--all-copy-sites", "--tier", "tracepoint"][..],
        &["--per", "fd", "--format", "folded", "--output", "-"],
        &["--interval", "1s", "--format", "pprof", "--output", "profile"],
    ] {
        let mut run = Command::new(&context.copytrace);
        let output = run.arg("run").args(flags).args(["touch", &started_name]).output()?;
        ensure!(output.status.code() == Some(2), "{flags:?}: {}", output.status);
        ensure!(text(&output.stderr).contains(flags[0]), "{}", text(&output.stderr));
        ensure!(!started.exists(), "{flags:?}: the command was started");
    }
    Ok(())
}

/// With --interval, each report is a line, and their differences add up to the last one's total.
fn lines(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let lines = folder.path().join("lines");
    let lines_name = lines.display().to_string();
    let flags = ["--format", "jsonl", "--interval", "100ms", "--output", &lines_name];
    let script = "cat \"$0\" > /dev/null; sleep 1; cat \"$0\" > /dev/null; sleep 1";
    let file_name = file.display().to_string();
    ensure_success(&run(context, &flags, &["sh", "-c", script, &file_name]).output()?)?;
    let text = std::fs::read_to_string(&lines)?;
    let lines: Vec<serde_json::Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() > 2, "there are {} lines", lines.len());
    let number = |value: &serde_json::Value| value["payload_bytes"].as_u64().context("no number");
    let sum: u64 = lines.iter().map(|line| number(&line["since_last"])).sum::<Result<_>>()?;
    let last = lines.last().context("no line")?;
    ensure!(sum == number(&last["total"])?, "{sum} is not {}", last["total"]);
    ensure!(sum >= 2 * FILE_BYTES, "{sum} is less than was read");
    ensure!(last["origin"]["command_line"].as_str().is_some_and(|it| it.contains("jsonl")));
    Ok(())
}

/// Nothing is drawn between the command's output, nor over it.
fn terminal_is_the_commands(context: &Context) -> Result<()> {
    let (ours, theirs) = terminal()?;
    let mut traced = run(context, &[], &["sh", "-c", "printf half; sleep 1.5; printf ' whole'"]);
    for set in [Command::stdout::<OwnedFd>, Command::stderr] {
        set(&mut traced, theirs.try_clone()?);
    }
    drop(theirs);
    let mut copytrace = traced.spawn()?;
    drop(traced);
    let mut seen = Vec::new();
    // Reading a terminal whose other side is closed is an error.
    let _ = File::from(ours).read_to_end(&mut seen);
    ensure!(copytrace.wait()?.success(), "it failed: {}", text(&seen));
    ensure!(text(&seen).contains("half whole"), "{:?}", text(&seen));
    Ok(())
}

/// SIGINT for `run` alone reaches the command, which ends as it likes; then the report follows.
fn interrupt(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    // If the signal does not come, it ends by itself after a minute.
    let script = "trap 'exit 9' INT; : > started; for i in $(seq 1200); do sleep 0.05; done";
    for number in [libc::SIGINT, libc::SIGUSR1] {
        let (started, report) = (folder.path().join("started"), folder.path().join("report"));
        let mut traced = context.trace(&report, Path::new("sh"));
        traced.args(["-c", &script.replace("INT", name_of(number))]).current_dir(folder.path());
        with_default_signals(&mut traced);
        let mut copytrace = traced.spawn()?;
        wait_until("the command has begun", &mut copytrace, || started.exists())?;
        signal(&copytrace, number)?;
        let status = copytrace.wait()?;
        ensure!(status.code() == Some(9), "the command’s status became {status}");
        Document::read(&report)?;
        std::fs::remove_file(&started)?;
        std::fs::remove_file(&report)?;
    }
    Ok(())
}

fn name_of(number: i32) -> &'static str {
    if number == libc::SIGINT { "INT" } else { "USR1" }
}

/// A process that the command leaves behind: it waits for a file, and reads another.
const DAEMON: &str = "(while [ ! -e go ]; do sleep 0.1; done; cat payload > /dev/null; : > done) \
     > /dev/null 2>&1 & exit 5";

/// A process left behind is traced to its end; with `--follow no` it is not; SIGINT ends the tracing, and
/// not the process.
fn daemon(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let [report, go, done] = ["report", "go", "done"].map(|name| folder.path().join(name));
    let start = |flags: &[&str]| {
        let mut traced = context.trace_with(flags, &report, Path::new("sh"));
        traced.args(["-c", DAEMON]).current_dir(folder.path()).stderr(Stdio::piped());
        with_default_signals(&mut traced);
        traced.spawn()
    };
    let says_so = |copytrace: &mut Child| -> Result<()> {
        let mut lines = BufReader::new(copytrace.stderr.take().context("no pipe")?).lines();
        let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("Ctrl-C")));
        said.context("it does not say that the command has ended")?.map(drop).map_err(Into::into)
    };
    let ended = |mut copytrace: Child| -> Result<()> {
        let status = copytrace.wait()?;
        ensure!(status.code() == Some(5), "the command’s status became {status}");
        Ok(())
    };
    let again = || -> Result<()> {
        std::fs::write(&go, "")?;
        until("the daemon has ended", || Ok(done.exists()))?;
        std::fs::remove_file(&go)?;
        Ok(std::fs::remove_file(&done)?)
    };

    let mut copytrace = start(&[])?;
    says_so(&mut copytrace)?;
    again()?;
    ended(copytrace)?;
    let document = Document::read(&report)?;
    document.flow(("file", "payload"), ("other", "/dev/null"))?.check_payload(FILE_BYTES, 1.0)?;

    ended(start(&["--follow", "no"])?)?;
    again()?;

    let mut copytrace = start(&[])?;
    says_so(&mut copytrace)?;
    signal(&copytrace, libc::SIGINT)?;
    ended(copytrace)?;
    again()
}

/// A set-user-ID command takes effect.
fn setuid(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let program = folder.path().join("id");
    std::fs::copy("/usr/bin/id", &program)?;
    std::os::unix::fs::chown(&program, Some(NOBODY), None)?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4755))?;
    let name = program.display().to_string();
    let output = run(context, &[], &[&name, "-u"]).output()?;
    ensure_success(&output)?;
    let said = text(&output.stdout);
    ensure!(said.trim() == NOBODY.to_string(), "it ran as {said}");
    Ok(())
}

/// A failed write of a report ends neither tracing nor the command, and the last report is written all
/// the same.
fn unwritable(context: &Context) -> Result<()> {
    let flags = ["--interval", "50ms", "--output", "/dev/full"];
    let output = run(context, &flags, &["sh", "-c", "sleep 0.5; exit 7"]).output()?;
    ensure!(output.status.code() == Some(7), "it ended with {}", output.status);
    let said = text(&output.stderr);
    ensure!(said.contains("tracing goes on") && said.contains("Traced"), "it said {said}");
    Ok(())
}

/// Descriptors and signals that are closed or ignored are so for the command, and its end is noticed all
/// the same.
fn inherited(context: &Context) -> Result<()> {
    let so = |mut command: Command| {
        // SAFETY: these are system calls, with no pointers.
        unsafe {
            command.pre_exec(|| {
                libc::close(libc::STDIN_FILENO);
                libc::close(libc::STDERR_FILENO);
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                Ok(())
            })
        };
        command.stdout(Stdio::piped()).output()
    };
    let begun_so = |command: &[&str]| so(run(context, &["--output", "/dev/null"], command));
    let open = begun_so(&["ls", "/proc/self/fd"])?;
    let mut untraced = Command::new("ls");
    untraced.arg("/proc/self/fd");
    let expected = so(untraced)?.stdout;
    ensure!(open.stdout == expected, "open: {}; not {}", text(&open.stdout), text(&expected));
    let signals = begun_so(&["grep", "SigIgn", "/proc/self/status"])?;
    let signals = text(&signals.stdout);
    let ignored = signals.strip_prefix("SigIgn:").context("no signals")?;
    let ignored = u64::from_str_radix(ignored.trim(), 16)?;
    for number in [libc::SIGPIPE, libc::SIGCHLD] {
        ensure!(ignored & 1 << (number - 1) != 0, "{number} is not among {ignored:x}");
    }
    let status = begun_so(&["sh", "-c", "exit 5"])?.status;
    ensure!(status.code() == Some(5), "the command’s status became {status}");
    Ok(())
}

/// A signal to the whole process group reaches the command once; one to copytrace alone reaches it too.
fn signal_to_the_group(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (report, begun, log) =
        (folder.path().join("report"), folder.path().join("begun"), folder.path().join("log"));
    let script = "trap 'echo TERM >> log' TERM; trap 'exit 7' USR1; : > begun
                  while :; do sleep 0.02; done";
    let mut traced = context.trace(&report, Path::new("sh"));
    traced.args(["-c", script]).current_dir(folder.path()).process_group(0);
    with_default_signals(&mut traced);
    let mut copytrace = traced.spawn()?;
    wait_until("the command has begun", &mut copytrace, || begun.exists())?;
    let group = rustix::process::Pid::from_child(&copytrace);
    let came = || std::fs::read_to_string(&log).map_or(0, |log| log.lines().count());
    rustix::process::kill_process_group(group, rustix::process::Signal::TERM)?;
    wait_until("the signal has come", &mut copytrace, || came() > 0)?;
    // Longer than copytrace takes to pass a signal on, and than signals of one sender count as the same.
    std::thread::sleep(std::time::Duration::from_millis(700));
    ensure!(came() == 1, "it came {} times", came());
    signal(&copytrace, libc::SIGTERM)?;
    wait_until("the second one has come", &mut copytrace, || came() == 2)?;
    signal(&copytrace, libc::SIGUSR1)?;
    let status = copytrace.wait()?;
    ensure!(status.code() == Some(7), "the command’s status became {status}");
    Ok(())
}

/// A command that wants to die with its parent lives as long as copytrace, and not as a thread of it.
fn parents_death(context: &Context) -> Result<()> {
    let command = ["setpriv", "--pdeathsig", "TERM", "sleep", "0.1"];
    // The fault was a race.
    (0..3).try_for_each(|_| ensure_success(&run(context, &[], &command).output()?))
}
