//! Shared parts of the checks of traced programs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::check::{Context, Skipped, Tier};
use crate::{pace, processes};
use xtask::command;
use xtask::setup::foreign::{Foreign, Found};

/// Bytes of the file that is read and served.
pub const FILE_BYTES: u64 = 16 << 20;

/// The time a program has to start or to end, under emulation and with all probes.
pub fn patience() -> Duration {
    pace::seconds(60)
}

/// The interval of polling.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl Context {
    /// `copytrace run`, with a report in `report`.
    pub fn trace(&self, report: &Path, program: &Path) -> Command {
        self.trace_with(&[], report, program)
    }

    /// The same for a terminal, with live figures.
    pub fn trace_on_terminal(&self, report: &Path, program: &Path) -> Command {
        let mut command = self.verb("run", &[], report);
        command.arg("--").arg(program);
        command
    }

    /// As [`Self::trace`], with more flags.
    pub fn trace_with(&self, flags: &[&str], report: &Path, program: &Path) -> Command {
        let mut command = self.verb("run", flags, report);
        command.arg("--quiet").arg("--").arg(program);
        command
    }

    /// `copytrace attach` to a process; returns when it has begun.
    pub fn attached(&self, flags: &[&str], report: &Path, pid: u32) -> Result<Child> {
        let mut command = self.verb("attach", flags, report);
        let mut child = command.arg("--pid").arg(pid.to_string()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no pipe")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            said = line?;
            if said.starts_with("copytrace: tracing ") {
                // Later output is shown if the check fails.
                std::thread::spawn(move || {
                    lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"));
                });
                return Ok(child);
            }
        }
        let status = child.wait()?;
        bail!("attach ended ({status}): {said}")
    }

    fn verb(&self, verb: &str, flags: &[&str], report: &Path) -> Command {
        let mut command = Command::new(&self.copytrace);
        command.args([verb, "--format", "json", "--tier", self.tier.name()]);
        command.args(flags).arg("--output").arg(report).stdin(Stdio::null());
        command
    }

    /// Another program, or the reason why its check is skipped.
    pub fn foreign(&self, program: &Foreign) -> Result<Found> {
        program.find(&self.packages).map_err(|error| Skipped(format!("{error:#}")).into())
    }

    /// The flag that verifies copies, where there are breakpoints.
    pub fn verify(&self) -> &'static [&'static str] {
        if self.tier == Tier::Tracepoint { &[] } else { &["--verify"] }
    }
}

/// Bytes that a process read and wrote by system calls, from `/proc/PID/io`: without sockets' own calls,
/// and with the children that it has waited for.
#[derive(Clone, Copy, Debug)]
pub struct Io {
    /// `rchar`
    pub read: u64,
    /// `wchar`
    pub written: u64,
}

impl Io {
    /// The account of a live process.
    pub fn of(pid: u32) -> Result<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/io"))?)
    }

    /// The last lines of a text that ends with the file.
    pub fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            let value = text.lines().rev().find_map(|line| line.strip_prefix(name)?.parse().ok());
            value.with_context(|| format!("no {name:?} in {text:?}"))
        };
        Ok(Self { read: field("rchar: ")?, written: field("wchar: ")? })
    }
}

/// A folder on a disk, with a file of random bytes.
pub fn folder_with_file() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let file = folder.path().join("payload");
    let mut random = std::fs::File::open("/dev/urandom")?.take(FILE_BYTES);
    std::io::copy(&mut random, &mut std::fs::File::create(&file)?)?;
    Ok((folder, file))
}

/// An address whose port was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until a condition holds, while a program runs.
pub fn wait_until(what: &str, program: &mut Child, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let limit = Instant::now() + patience();
    while !is_so() {
        if let Some(status) = program.try_wait()? {
            let mut said = String::new();
            if let Some(mut stderr) = program.stderr.take() {
                stderr.read_to_string(&mut said)?;
            }
            bail!("{what}: it ended before ({status}): {said}");
        }
        ensure!(Instant::now() < limit, "{what}: not after {:?}", patience());
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// Waits until a condition holds.
pub fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let limit = Instant::now() + patience();
    while !is_so()? {
        ensure!(Instant::now() < limit, "{what}: not after {:?}", patience());
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// Sends a signal to a child.
pub fn signal(child: &Child, signal: i32) -> Result<()> {
    // SAFETY: kill only sends a signal, to a child that has not been waited for.
    unsafe { libc::kill(i32::try_from(child.id())?, signal) };
    Ok(())
}

/// Sends SIGTERM to a child, and waits for it.
pub fn end(child: &mut Child) -> Result<()> {
    signal(child, libc::SIGTERM)?;
    let limit = Instant::now() + patience();
    while child.try_wait()?.is_none() {
        if Instant::now() > limit {
            child.kill()?;
            child.wait()?;
            bail!("it did not end");
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// The child of a process; none as long as there is none.
pub fn child_of(parent: u32) -> Option<u32> {
    processes::descendants().into_iter().find(|it| it.parent == parent).map(|it| it.pid)
}

/// A field of `ss` for a server's only open connection, such as `bytes_sent:`.
pub fn of_connection(ss: &mut Command, server: SocketAddr, field: &str) -> Result<u64> {
    ss.args(["--tcp", "--info", "--numeric", "--no-header", "--oneline", "state", "established"]);
    ss.args(["sport", "=", &format!(":{}", server.port())]);
    let text = command::stdout(ss)?;
    if !text.contains("bytes_") {
        // `ss` had to read /proc/net/tcp.
        bail!(Skipped("ss knows no byte counts: this kernel has no module tcp_diag".to_owned()));
    }
    let values = text.split_whitespace().filter_map(|word| word.strip_prefix(field));
    let values: Vec<&str> = values.collect();
    ensure!(values.len() == 1, "{} connections with {field} in {text:?}", values.len());
    Ok(values[0].parse()?)
}
