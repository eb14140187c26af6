//! The cases: no tracer, and each tracer with its usual command.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::account;
use super::process::{Running, pause, read};
use super::script;
use super::server::Server;
use super::situation::Situation;
use super::tools::{BPFTRACE, PERF, STRACE};
use xtask::build_step::{self, Profile};
use xtask::cache::Cache;
use xtask::tier::Tier;

/// The time limit of attaching.
const PATIENCE: Duration = Duration::from_secs(180);

/// A tracer that attaches nothing more for this long has attached everything.
const SETTLED: Duration = Duration::from_millis(1500);

/// The interval of polling.
const TICK: Duration = Duration::from_millis(100);

/// The tracer of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// Nobody
    #[value(skip)]
    Untraced,
    /// `copytrace attach --pid`
    Copytrace,
    /// `strace -c -f -p`
    Strace,
    /// `perf trace -s -p`
    Perf,
    /// bpftrace with calls.bt: calls and bytes
    BpftraceCalls,
    /// bpftrace with flows.bt: what copytrace counts
    BpftraceFlows,
}

/// The settings shared by all cases.
pub struct Setup {
    /// The place of the tools.
    pub cache: Cache,
    /// The tier of copytrace; the best available one if none.
    pub tier: Option<Tier>,
    /// The kernel's symbols, if functions can be probed.
    pub symbols: Option<String>,
}

/// A running tracer.
pub struct Attached {
    case: Case,
    running: Running,
    result: PathBuf,
}

/// A tracer's report.
pub struct Seen {
    /// The number of requests.
    pub requests: f64,
    /// copytrace's tier.
    pub tier: Option<String>,
}

/// The result of starting a tracer.
pub enum Start {
    /// It traces.
    Attached(Attached),
    /// It is not available, or ended by itself; the reason.
    Refused(String),
}

impl Case {
    /// For a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::Untraced => "untraced",
            Self::Copytrace => "copytrace attach",
            Self::Strace => "strace -c -f",
            Self::Perf => "perf trace -s",
            Self::BpftraceCalls => "bpftrace calls.bt",
            Self::BpftraceFlows => "bpftrace flows.bt",
        }
    }

    /// Whether it works by BPF programs.
    pub fn has_programs(self) -> bool {
        matches!(self, Self::Copytrace | Self::BpftraceCalls | Self::BpftraceFlows)
    }

    /// Starts to trace the server; without a tracer, does nothing.
    pub fn attach(self, setup: &Setup, server: &Server) -> Result<Option<Start>> {
        let result = server.folder().join("result");
        let command = match self {
            Self::Untraced => return Ok(None),
            Self::Copytrace => Ok(copytrace(setup.tier, server, &result)),
            Self::Strace => {
                STRACE.find(&setup.cache).map(|tool| strace(tool.command(), server, &result))
            }
            Self::Perf => PERF.find(&setup.cache).map(|tool| perf(tool.command(), server, &result)),
            Self::BpftraceCalls | Self::BpftraceFlows => match BPFTRACE.find(&setup.cache) {
                Ok(tool) => Ok(self.bpftrace(tool.command(), setup, server, &result)?),
                Err(error) => Err(error),
            },
        };
        let command = match command {
            Ok(command) => command,
            Err(error) => return Ok(Some(Start::Refused(format!("{error:#}")))),
        };
        let running = Running::start(command, "tracer", server.folder())?;
        Attached { case: self, running, result }.settle(server).map(Some)
    }

    fn bpftrace(
        self,
        mut command: Command,
        setup: &Setup,
        server: &Server,
        result: &Path,
    ) -> Result<Command> {
        let pids = server.pids();
        let text = match self {
            Self::BpftraceCalls => script::calls(&pids),
            _ => script::flows(&pids, setup.symbols.as_deref()),
        };
        let script = server.folder().join("script.bt");
        std::fs::write(&script, text)?;
        command.arg(script).stdout(File::create(result)?);
        Ok(command)
    }
}

fn copytrace(tier: Option<Tier>, server: &Server, result: &Path) -> Command {
    let mut command = Command::new(build_step::programs(Profile::Release).join("copytrace"));
    command.args(["attach", "--quiet", "--format", "json"]);
    if let Some(tier) = tier {
        command.args(["--tier", tier.name()]);
    }
    for pid in server.pids() {
        command.args(["--pid", &pid.to_string()]);
    }
    command.arg("--output").arg(result).stdout(Stdio::null());
    command
}

fn strace(mut command: Command, server: &Server, result: &Path) -> Command {
    command.args(["-c", "-f", "-o"]).arg(result);
    for pid in server.pids() {
        command.args(["-p", &pid.to_string()]);
    }
    command.stdout(Stdio::null());
    command
}

fn perf(mut command: Command, server: &Server, result: &Path) -> Command {
    let pids: Vec<_> = server.pids().iter().map(u32::to_string).collect();
    command.args(["trace", "-s", "-p", &pids.join(","), "-o"]).arg(result);
    command.stdout(Stdio::null());
    command
}

impl Attached {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Waits until it has attached everything.
    fn settle(mut self, server: &Server) -> Result<Start> {
        let started = Instant::now();
        let (mut attached, mut since) = (0, Instant::now());
        while attached == 0 || since.elapsed() < SETTLED {
            if self.running.has_ended()? {
                return self.refused();
            }
            if started.elapsed() > PATIENCE {
                bail!("{} attached nothing within {} s", self.case.text(), PATIENCE.as_secs());
            }
            let now = self.count(server)?;
            if now != attached {
                (attached, since) = (now, Instant::now());
            }
            pause(TICK)?;
        }
        Ok(Start::Attached(self))
    }

    /// Another tool that ends by itself cannot be measured here. If copytrace does, that is an error.
    fn refused(self) -> Result<Start> {
        let reason = self.running.said();
        if self.case == Case::Copytrace {
            bail!("copytrace did not attach: {reason}");
        }
        Ok(Start::Refused(if reason.is_empty() { "it ended at once".to_owned() } else { reason }))
    }

    /// The number of attachments: to the processes, or in the kernel.
    fn count(&self, server: &Server) -> Result<usize> {
        if self.case == Case::Strace {
            let tracer = format!("TracerPid:\t{}", self.pid());
            let statuses = server.pids().into_iter().map(|pid| read(&of(pid, "status")));
            let statuses = statuses.collect::<Result<Vec<_>>>()?;
            let traced = statuses.iter().all(|text| text.lines().any(|line| line == tracer));
            return Ok(usize::from(traced));
        }
        // Descriptors may be closed while they are looked at, and the process may end.
        let descriptors = std::fs::read_dir(of(self.pid(), "fd")).into_iter().flatten().flatten();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let is_probe = |link: &PathBuf| {
            let link = link.to_string_lossy();
            ["perf_event", "bpf_link"].iter().any(|kind| link.contains(kind))
        };
        Ok(links.filter(is_probe).count())
    }

    /// Stops it as a user does, and reads its report.
    pub fn finish(self, situation: Situation, requests: f64, connections: u32) -> Result<Seen> {
        let Self { case, running, result } = self;
        let said = running.said();
        running.stop(libc::SIGINT)?;
        let seen = Seen::read(case, &result, situation).with_context(|| said.clone())?;
        let complete = case == Case::Copytrace;
        account::check(seen.requests, requests, connections, complete).with_context(|| {
            format!("{} does not account for the traffic; it said: {said}", case.text())
        })?;
        Ok(seen)
    }
}

impl Seen {
    fn read(case: Case, result: &Path, situation: Situation) -> Result<Self> {
        let text = read(result)?;
        let mut tier = None;
        let requests = match case {
            Case::Untraced => bail!("nobody reports on an untraced server"),
            Case::Copytrace => {
                let (requests, of) = account::of_copytrace(&text, situation.file_bytes())?;
                tier = Some(of);
                requests
            }
            Case::Strace => account::of_strace(&text)?,
            Case::Perf => account::of_perf(&text)?,
            Case::BpftraceCalls | Case::BpftraceFlows => account::of_bpftrace(&text)?,
        };
        Ok(Self { requests, tier })
    }
}

fn of(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}
