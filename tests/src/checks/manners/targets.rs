//! The targets of `attach`, and the signals that end it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};

use super::{ensure_success, text, with_default_signals};
use crate::check::{Check, Context, Skipped, Tier};
use crate::support::report::Document;
use crate::support::sink::Sink;
use crate::support::traced::{folder_with_file, signal, until, wait_until};

/// Targets of `attach`, and its signals.
pub const CHECKS: [Check; 6] = [
    Check { name: "attach: nohup, SIGUSR1 and SIGALRM", run: signals_of_attach },
    Check { name: "attach: the id of a thread", run: thread },
    Check { name: "attach: programs of a name, of a moment", run: programs_of_a_name },
    Check { name: "attach: a container, and programs of a moment in it", run: container },
    Check { name: "attach: no such container", run: no_container },
    Check { name: "attach and run: in a PID namespace", run: in_a_namespace },
];

/// `nohup copytrace attach` continues after SIGHUP; any other fatal signal makes it report.
fn signals_of_attach(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    for number in [libc::SIGUSR1, libc::SIGALRM, libc::SIGTERM] {
        let mut sink = Sink::start()?;
        let nohup = number == libc::SIGTERM;
        let mut attach = Command::new(if nohup { "nohup" } else { "env" });
        attach.arg(&context.copytrace);
        with_default_signals(&mut attach);
        let pid = sink.pid().to_string();
        let mut attach = begun(context, attach, &["--pid", &pid], &report)?;
        if nohup {
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

/// With one of its threads as the target, a process is traced: here this one, which reads a file.
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
    begun(context, Command::new(&context.copytrace), target, report)
}

/// Starts a command that is `copytrace attach`, and returns when it has begun.
fn begun(
    context: &Context,
    mut copytrace: Command,
    target: &[&str],
    report: &Path,
) -> Result<Child> {
    let log = report.with_extension("log");
    copytrace.args(["attach", "--format", "json", "--tier", context.tier.name(), "--output"]);
    copytrace.arg(report).args(target);
    copytrace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let attach = copytrace.spawn()?;
    until("attach has begun", || {
        Ok(std::fs::read_to_string(&log)?.contains("copytrace: tracing "))
    })?;
    Ok(attach)
}

/// Programs of a name are traced from their start, however soon they end; others are not.
fn programs_of_a_name(context: &Context) -> Result<()> {
    const BYTES: u64 = 100_000;
    let programs = if context.tier == Tier::Tracepoint { 200 } else { 20 };
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let (report, file) = (folder.path().join("report"), folder.path().join("payload"));
    std::fs::write(&file, vec![7; BYTES as usize])?;
    // Nothing else on this machine has that name.
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

/// A control group of this check, removed when this is dropped.
struct Group(PathBuf);

impl Group {
    /// Named like a Docker container's, if there is a hierarchy of version 2.
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

    /// A command that begins in the group.
    fn command(&self, program: &str) -> Command {
        let procs = self.0.join("cgroup.procs");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(procs).arg(program);
        command
    }

    /// A program that reads a file after it has moved into the group, without `exec`.
    fn late_comer(&self) -> Command {
        let mut python = Command::new("python3");
        python.arg("-c").arg(
            "import os, sys\n\
             os.write(os.open(sys.argv[1], os.O_WRONLY), b'0')\n\
             os.read(os.open(sys.argv[2], os.O_RDONLY), 1 << 20)",
        );
        python.arg(self.0.join("cgroup.procs"));
        python
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that is ending may still be in it for a moment.
        let _ = until("the group is empty", || Ok(std::fs::remove_dir(&self.0).is_ok()));
    }
}

/// A program that starts in a container is traced from its first instruction, one that moves in from then
/// on, and one outside not at all. The container is a control group: there is no runtime here.
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
    for mut program in cats.chain([group.late_comer()]) {
        let status = program.arg(&file).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "{program:?} ended with {status}");
    }
    drop(first.stdin.take());
    first.wait()?;
    signal(&attach, libc::SIGINT)?;
    let status = { attach }.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
    flow.check_payload(programs * BYTES, 1.0)?;
    document.flow(("file", "payload"), ("memory", ""))?.check_payload(BYTES, 1.0)
}

/// In a PID namespace, the process ids are those of the namespace, and not those outside.
fn in_a_namespace(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let (report, fifo) = (folder.path().join("report"), folder.path().join("fifo"));
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)?;
    let namespace = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--"]);
        unshare
    };

    let mut run = namespace();
    run.arg(&context.copytrace).args(["run", "--format", "json", "--tier", context.tier.name()]);
    run.arg("--output").arg(&report).args(["--", "dd", "of=/dev/null", "bs=64k"]);
    run.arg(format!("if={}", file.display())).stderr(Stdio::piped());
    ensure_success(&run.output()?)?;
    check_number(&report, ("file", "payload"), std::fs::metadata(&file)?.len())?;

    let mut attach = namespace();
    attach.args(["sh", "-c", "cat \"$0\" > /dev/null & exec \"$@\" --pid $!"]).arg(&fifo);
    attach.arg(&context.copytrace);
    let mut attach = begun(context, attach, &[], &report)?;
    std::fs::write(&fifo, vec![7; 1 << 20])?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    check_number(&report, ("pipe", "fifo"), 1 << 20)
}

/// The first processes of a namespace have small numbers.
fn check_number(report: &Path, from: (&str, &str), bytes: u64) -> Result<()> {
    let document = Document::read(report)?;
    let flow = document.flow(from, ("other", "/dev/null"))?;
    let pid = flow.process.pid;
    ensure!(pid.is_some_and(|pid| (2..100).contains(&pid)), "the process is called {pid:?}");
    flow.check_payload(bytes, 1.0)
}

/// A systemd unit with a container's name is not a container.
fn no_container(context: &Context) -> Result<()> {
    let mut attach = Command::new(&context.copytrace);
    let output = attach.args(["attach", "--duration", "1s", "--container", "redis"]).output()?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(said.contains("there is no container redis"), "it said {said}");
    Ok(())
}
