//! What copytrace owes to the command, to who runs it, and to their files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::together::terminal;
use crate::check::{Check, Context, Skipped, Tier};
use crate::support::report::Document;
use crate::support::sink::Sink;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal, until, wait_until};

/// Output, files, signals and descendants.
pub const CHECKS: [Check; 19] = [
    Check { name: "run: standard output is the command’s", run: output_is_the_commands },
    Check { name: "run: a format for programs needs --output", run: formats_for_programs },
    Check { name: "run: a terminal has what the command wrote", run: terminal_is_the_commands },
    Check { name: "--output, --record: the old file stays on any failure", run: old_files_stay },
    Check { name: "--output: a full disk", run: full_disk },
    Check { name: "under sudo: files are the user’s", run: files_under_sudo },
    Check { name: "run: secrets are masked", run: secrets },
    Check { name: "run: SIGINT is the command’s", run: interrupt },
    Check { name: "attach: nohup, SIGUSR1 and SIGALRM", run: signals_of_attach },
    Check { name: "run: a daemon is left behind", run: daemon },
    Check { name: "attach: the id of a thread", run: thread },
    Check { name: "attach: programs of a name, of a moment", run: programs_of_a_name },
    Check { name: "attach: a container, and programs of a moment in it", run: container },
    Check { name: "attach: no such container", run: no_container },
    Check { name: "report: what is no recording", run: no_recording },
    Check { name: "attach: capabilities are given up", run: capabilities },
    Check { name: "run: a setuid program", run: setuid },
    Check { name: "run: with some capabilities, and kptr_restrict", run: some_capabilities },
    Check { name: "run: few files may be open", run: few_files },
];

/// A user who may write nowhere else.
const NOBODY: u32 = 65534;

/// `copytrace run` with no other flags than these.
fn run(context: &Context, flags: &[&str], command: &[&str]) -> Command {
    let mut run = Command::new(&context.copytrace);
    run.args(["run", "--tier", context.tier.name()]).args(flags).arg("--").args(command);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ensure_success(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    Ok(())
}

/// `run -- cat x > y` leaves a copy of x in y; the report is on standard error, or where it was asked
/// for.
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

/// Two writers in one stream would be read by no program; before the command starts.
fn formats_for_programs(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = folder.path().join("started");
    let started_name = started.display().to_string();
    for format in ["json", "csv", "folded", "pprof"] {
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

/// Nothing is drawn between what the command writes, nor over it.
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
    // The end of a terminal whose other side is closed is an error.
    let _ = File::from(ours).read_to_end(&mut seen);
    ensure!(copytrace.wait()?.success(), "it failed: {}", text(&seen));
    ensure!(text(&seen).contains("half whole"), "{:?}", text(&seen));
    Ok(())
}

/// A command that cannot be run, and a tier that cannot be had.
fn old_files_stay(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let names = ["report", "recording"].map(|name| folder.path().join(name));
    let flags = || ["--output", "--record"].into_iter().zip(&names);
    for wrong in [&["--", "/nonexistent"][..], &["--per", "nothing", "--", "true"]] {
        for name in &names {
            std::fs::write(name, "old")?;
        }
        let mut copytrace = Command::new(&context.copytrace);
        copytrace.args(["run", "--tier", context.tier.name()]);
        flags().for_each(|(flag, name)| {
            copytrace.arg(flag).arg(name);
        });
        let output = copytrace.args(wrong).output()?;
        ensure!(!output.status.success(), "{wrong:?} succeeded");
        for name in &names {
            ensure!(std::fs::read(name)? == b"old", "{wrong:?}: {} is new", name.display());
        }
    }
    let left = std::fs::read_dir(folder.path())?.count();
    ensure!(left == names.len(), "{left} files are there");
    Ok(())
}

/// One clear error, and the report nevertheless.
fn full_disk(context: &Context) -> Result<()> {
    let output = run(context, &["--output", "/dev/full"], &["true"]).output()?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(said.contains("No space left on device"), "no error: {said}");
    ensure!(said.contains("Traced"), "no report: {said}");
    let output = run(context, &["--output", "/dev/full"], &["sh", "-c", "exit 7"]).output()?;
    ensure!(output.status.code() == Some(7), "the command’s status became {}", output.status);
    Ok(())
}

/// The files are the user's who called sudo, and lie where that user may write.
fn files_under_sudo(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
    let [report, recording, link, roots] =
        ["report", "recording", "link", "roots"].map(|name| folder.path().join(name));
    std::fs::write(&roots, "root’s")?;
    std::fs::set_permissions(&roots, PermissionsExt::from_mode(0o600))?;
    symlink(&roots, &link)?;
    let under_sudo = |output: &Path| {
        let mut copytrace = Command::new(&context.copytrace);
        copytrace.args(["run", "--tier", context.tier.name(), "--record"]).arg(&recording);
        copytrace.arg("--output").arg(output).args(["--", "true"]);
        copytrace.env("SUDO_UID", NOBODY.to_string()).env("SUDO_GID", NOBODY.to_string());
        copytrace.output()
    };
    ensure_success(&under_sudo(&report)?)?;
    for (file, mode) in [(&report, 0o644), (&recording, 0o600)] {
        let found = std::fs::metadata(file)?;
        ensure!(found.uid() == NOBODY, "{} is of user {}", file.display(), found.uid());
        ensure!(found.mode() & 0o777 == mode, "{}: {:o}", file.display(), found.mode());
    }
    let elsewhere = tempfile::tempdir()?;
    for refused in [&link, &roots, &elsewhere.path().join("report")] {
        let output = under_sudo(refused)?;
        ensure!(output.status.code() == Some(1), "{}: {}", refused.display(), output.status);
    }
    ensure!(std::fs::read_to_string(&roots)? == "root’s", "root’s file was written");
    ensure!(std::fs::read_dir(elsewhere.path())?.next().is_none(), "root’s folder was written");
    Ok(())
}

/// What looks like a secret is in no file, unless it was asked for.
fn secrets(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("recording");
    let name = recording.display().to_string();
    for (flags, told) in [(&[][..], false), (&["--with-arguments"], true)] {
        let flags = [&["--record", &name], flags].concat();
        let output = run(context, &flags, &["true", "--password=hunter2", "plain"]).output()?;
        ensure_success(&output)?;
        let recorded = std::fs::read_to_string(&recording)?;
        ensure!(recorded.contains("plain"), "it does not say what was run");
        let seen = [&recorded, &text(&output.stderr)].map(|text| text.contains("hunter2"));
        ensure!(seen == [told, told], "{flags:?}: the secret is there: {seen:?}");
    }
    Ok(())
}

/// SIGINT for `run` alone reaches the command, which ends as it likes; then there is a report.
fn interrupt(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = "trap 'exit 9' INT; : > started; while :; do sleep 0.05; done";
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

/// Whoever started the checks may have some ignored, and copytrace would, too.
fn with_default_signals(command: &mut Command) {
    // SAFETY: these are system calls, with no pointers.
    unsafe {
        command.pre_exec(|| {
            for number in [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM] {
                libc::signal(number, libc::SIG_DFL);
            }
            Ok(())
        })
    };
}

/// `nohup copytrace attach` goes on at SIGHUP; any other signal that would end it makes it report.
fn signals_of_attach(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    for number in [libc::SIGUSR1, libc::SIGALRM, libc::SIGTERM] {
        let mut sink = Sink::start()?;
        let mut attach = attach(context, sink.pid(), &report, number == libc::SIGTERM)?;
        if number == libc::SIGTERM {
            signal(&attach, libc::SIGHUP)?;
        }
        sink.wake()?;
        sink.give(1 << 20)?;
        signal(&attach, number)?;
        let status = attach.wait()?;
        ensure!(status.success(), "signal {number}: attach ended with {status}");
        let document = Document::read(&report)?;
        document.flow(("pipe", ""), ("other", "/dev/null"))?.check_payload(1 << 20, 1.0)?;
        sink.end()?;
    }
    Ok(())
}

/// An attached copytrace, which may have been started by `nohup`.
fn attach(context: &Context, pid: u32, report: &Path, nohup: bool) -> Result<Child> {
    let mut attach = Command::new("nohup");
    if !nohup {
        attach = Command::new("env");
    }
    attach.arg(&context.copytrace).args(["attach", "--format", "json", "--output"]).arg(report);
    attach.args(["--tier", context.tier.name(), "--pid", &pid.to_string()]);
    with_default_signals(&mut attach);
    let log = report.with_extension("log");
    attach.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let child = attach.spawn()?;
    until("attach has begun", || {
        Ok(std::fs::read_to_string(&log)?.contains("copytrace: tracing "))
    })?;
    Ok(child)
}

/// What a command leaves behind: it waits for a file, and reads another.
const DAEMON: &str = "(while [ ! -e go ]; do sleep 0.1; done; cat payload > /dev/null; : > done) \
     > /dev/null 2>&1 & exit 5";

/// What a command leaves behind is traced to its end; or not, with `--follow no`; or until SIGINT, which
/// leaves it alone.
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

/// Attached to one of its threads, a process is traced: here this one, which reads a file.
fn thread(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let report = folder.path().join("report");
    let (tell, told) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid())?;
        wait.recv()?;
        Ok::<_, anyhow::Error>(std::fs::read(file)?.len() as u64)
    });
    let thread = u32::try_from(told.recv()?.as_raw_nonzero().get())?;
    ensure!(thread != std::process::id(), "it is no thread");
    let attach = context.attached(&["--per", "process"], &report, thread)?;
    go.send(())?;
    let read = reader.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
    signal(&attach, libc::SIGINT)?;
    { attach }.wait()?;
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("memory", ""))?;
    ensure!(flow.process.pid == Some(std::process::id()), "it is of {:?}", flow.process.pid);
    flow.check_payload(read, 1.0)
}

/// An attached copytrace whose target may have no process yet.
fn attached(context: &Context, target: &[&str], report: &Path) -> Result<Child> {
    let log = report.with_extension("log");
    let mut attach = Command::new(&context.copytrace);
    attach.args(["attach", "--format", "json", "--tier", context.tier.name(), "--output"]);
    attach.arg(report).args(target).stdin(Stdio::null()).stderr(File::create(&log)?);
    let attach = attach.spawn()?;
    until("attach has begun", || {
        Ok(std::fs::read_to_string(&log)?.contains("copytrace: tracing "))
    })?;
    Ok(attach)
}

/// Programs of a name are traced from when they start, however soon they end; others are not.
fn programs_of_a_name(context: &Context) -> Result<()> {
    const BYTES: u64 = 100_000;
    let programs = if context.tier == Tier::Tracepoint { 200 } else { 20 };
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let (report, file) = (folder.path().join("report"), folder.path().join("payload"));
    std::fs::write(&file, vec![7; BYTES as usize])?;
    // Whoever else runs on this machine runs nothing of that name.
    let program = folder.path().join("of-this-check");
    std::fs::copy("/bin/cat", &program)?;
    let attach = attached(context, &["--comm", "of-this-check"], &report)?;
    for program in std::iter::repeat_n(&program, programs).chain([&"/bin/cat".into()]) {
        let status = Command::new(program).arg(&file).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "{} ended with {status}", program.display());
    }
    signal(&attach, libc::SIGINT)?;
    let status = { attach }.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
    flow.check_payload(programs as u64 * BYTES, 1.0)
}

/// A control group of this check, gone when it is dropped.
struct Group(PathBuf);

impl Group {
    /// Named as Docker names a container's, if there is a hierarchy of version 2.
    fn new(id: &str) -> Result<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let root =
            root.ok_or_else(|| Skipped("there are no control groups of version 2".into()))?;
        let folder = root.join(format!("docker-{id}.scope"));
        std::fs::create_dir(&folder)
            .map_err(|error| Skipped(format!("no control group can be made: {error}")))?;
        Ok(Self(folder))
    }

    /// A command that begins in it.
    fn command(&self, program: &str) -> Command {
        let procs = self.0.join("cgroup.procs");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(procs).arg(program);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that is ending may be in it for a moment still.
        let _ = until("the group is empty", || Ok(std::fs::remove_dir(&self.0).is_ok()));
    }
}

/// What begins in a container is traced from its first instruction, and what is elsewhere is not. The
/// container is its control group: no runtime is here.
fn container(context: &Context) -> Result<()> {
    const BYTES: u64 = 100_000;
    let programs: u64 = if context.tier == Tier::Tracepoint { 100 } else { 10 };
    let id = format!("{:064x}", 0xc0ff_ee00_u64 << 32 | u64::from(std::process::id()));
    let group = Group::new(&id)?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let (report, file) = (folder.path().join("report"), folder.path().join("payload"));
    std::fs::write(&file, vec![7; BYTES as usize])?;
    let mut first = group.command("cat").stdin(Stdio::piped()).spawn()?;
    let procs = group.0.join("cgroup.procs");
    wait_until("it is in the container", &mut first, || {
        std::fs::read_to_string(&procs).is_ok_and(|pids| !pids.trim().is_empty())
    })?;
    let target = match group.0.parent() {
        Some(root) if root.ends_with("unified") => {
            vec!["--cgroup".to_owned(), group.0.display().to_string()]
        }
        _ => vec!["--container".to_owned(), id[..60].to_owned()],
    };
    let target: Vec<_> = target.iter().map(String::as_str).collect();
    let attach = attached(context, &target, &report)?;
    let cats = (0..programs).map(|_| group.command("cat")).chain([Command::new("cat")]);
    for mut cat in cats {
        let status = cat.arg(&file).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "cat ended with {status}");
    }
    drop(first.stdin.take());
    first.wait()?;
    signal(&attach, libc::SIGINT)?;
    let status = { attach }.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
    flow.check_payload(programs * BYTES, 1.0)
}

/// A unit of systemd's that is called like it is none.
fn no_container(context: &Context) -> Result<()> {
    let mut attach = Command::new(&context.copytrace);
    let output = attach.args(["attach", "--duration", "1s", "--container", "redis"]).output()?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(said.contains("there is no container redis"), "it said {said}");
    Ok(())
}

/// A file without an end, and a recording through a pipe.
fn no_recording(context: &Context) -> Result<()> {
    let report = |file: &str| {
        let mut report = Command::new(&context.copytrace);
        report.args(["report", file]).stdin(Stdio::null());
        report
    };
    let output = report("/dev/zero").output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(text(&output.stderr).contains("larger than"), "it said {}", text(&output.stderr));
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("recording");
    let name = recording.display().to_string();
    ensure_success(&run(context, &["--record", &name], &["true"]).output()?)?;
    let output = report("-").stdin(File::open(&recording)?).output()?;
    ensure_success(&output)?;
    ensure!(text(&output.stdout).contains("Traced"), "no report: {}", text(&output.stdout));
    Ok(())
}

/// What is left of root's capabilities while it waits for counters, and that no program gets them back.
fn capabilities(context: &Context) -> Result<()> {
    /// CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_NET_ADMIN, CAP_DAC_OVERRIDE, CAP_SETUID,
    /// CAP_KILL and CAP_SYSLOG.
    const GIVEN_UP: [u32; 8] = [21, 16, 17, 12, 1, 7, 5, 34];
    let sink = Sink::start()?;
    let mut attach = Command::new(&context.copytrace);
    attach.args(["attach", "--tier", context.tier.name(), "--pid", &sink.pid().to_string()]);
    let mut attach = attach.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = attach.id();
    let field = |name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    wait_until("it has given up what it can", &mut attach, || field("NoNewPrivs:") == "1")?;
    let left = u64::from_str_radix(&field("CapPrm:"), 16)?;
    let kept: Vec<_> = GIVEN_UP.into_iter().filter(|bit| left & (1 << bit) != 0).collect();
    ensure!(kept.is_empty(), "capabilities {kept:?} are kept: {left:x}");
    signal(&attach, libc::SIGINT)?;
    ensure!(attach.wait()?.success(), "attach failed");
    sink.end()
}

/// The command may become who its file says.
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

/// Without root, what is missing takes what needs it, and nothing else; without the two that eBPF needs,
/// the reason is said.
fn some_capabilities(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    let copytrace = folder.path().join("copytrace");
    std::fs::copy(&context.copytrace, &copytrace)?;
    std::fs::set_permissions(&copytrace, PermissionsExt::from_mode(0o755))?;
    let with = |capabilities: &str| {
        let mut traced = Command::new("setpriv");
        traced.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        traced.args(["--inh-caps", capabilities, "--ambient-caps", capabilities, "--"]);
        traced.arg(&copytrace).args(["run", "--format", "json", "--output", "-", "--"]);
        traced.args(["dd", "of=/dev/null", "bs=64k", "status=none"]);
        let file = format!("if={}", file.display());
        traced.arg(file).current_dir("/").stdin(Stdio::null()).output()
    };
    let output = with("-all")?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.contains("CAP_BPF"), "it said {said}");
    // The guest is the check's own, and is switched off after it if it fails.
    let hidden = Path::new("/proc/sys/kernel/kptr_restrict");
    let before = std::fs::read_to_string(hidden)?;
    for (capabilities, restrict) in [
        ("+bpf,+perfmon", None),
        ("+bpf,+perfmon,+syslog", None),
        ("+bpf,+perfmon,+syslog", Some("2")),
        ("+sys_admin", Some("0")),
    ] {
        if context.in_guest {
            std::fs::write(hidden, restrict.unwrap_or(before.trim()))?;
        }
        let output = with(capabilities);
        if context.in_guest {
            std::fs::write(hidden, &before)?;
        }
        let output = output?;
        ensure_success(&output).with_context(|| format!("with {capabilities}"))?;
        let document = Document::parse(&text(&output.stdout))?;
        let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
        flow.check_payload(FILE_BYTES, 1.0).with_context(|| format!("with {capabilities}"))?;
    }
    Ok(())
}

/// The limit of open files is raised for copytrace, and is the command's as it was; where it cannot be
/// raised, that is the reason.
fn few_files(context: &Context) -> Result<()> {
    let limited = |limit: &str| {
        let script = format!("ulimit {limit} && exec \"$@\"");
        let traced = run(context, &["--output", "/dev/null"], &["sh", "-c", "ulimit -Sn"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "sh"]).arg(traced.get_program()).args(traced.get_args());
        shell.stdin(Stdio::null()).output()
    };
    let output = limited("-Sn 48")?;
    ensure_success(&output)?;
    ensure!(text(&output.stdout) == "48\n", "the command’s limit is {}", text(&output.stdout));
    for too_few in ["-n 32", "-n 48"] {
        let output = limited(too_few)?;
        let said = text(&output.stderr);
        ensure!(output.status.code() == Some(1), "{too_few}: it ended with {}", output.status);
        ensure!(said.contains("Too many open files") && said.contains("ulimit"), "it said {said}");
    }
    Ok(())
}
