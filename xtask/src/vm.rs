//! `cargo xtask vm`: a command of this machine on another kernel.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::build_step::{self, Profile};
use crate::cache::Cache;
use crate::consent::Consent;
use crate::guest::client::{Input, Output, Session};
use crate::guest::protocol::{Request, Size};
use crate::kernel_version::KernelVersion;
use crate::modules::Modules;
use crate::qemu::{Machine, Running};
use crate::say::note;
use crate::setup;
use crate::{accelerator, initramfs, signals, terminal};

/// `cargo xtask vm`
#[derive(clap::Args)]
pub struct Arguments {
    /// Run this kernel
    #[arg(long, value_name = "VERSION", default_value_t = KernelVersion::USUAL)]
    kernel: KernelVersion,
    /// Give the guest two NICs of this model
    #[arg(long, value_enum, default_value_t = Nic::E1000e)]
    nic: Nic,
    /// Load this kernel module too; may be repeated
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
    /// Do not build first: use the last build
    #[arg(long)]
    no_build: bool,
    /// Switch the guest off after this number of seconds
    #[arg(long, value_name = "SECS")]
    timeout: Option<u64>,
    /// Print errors only
    #[arg(long, short)]
    quiet: bool,
    /// Run the command on a terminal, as a shell is
    #[arg(long, short)]
    tty: bool,
    /// The command and its arguments; without one, a shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A NIC with scatter-gather, checksum offload and TSO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Nic {
    /// Intel's, as QEMU emulates it
    E1000e,
    /// VMware's, as QEMU emulates it
    Vmxnet3,
}

impl Nic {
    /// Both QEMU and the kernel call it that.
    fn name(self) -> &'static str {
        match self {
            Self::E1000e => "e1000e",
            Self::Vmxnet3 => "vmxnet3",
        }
    }
}

/// Modules that strategies need: TLS, and what it encrypts with; a device that drops datagrams.
pub const FOR_STRATEGIES: [&str; 5] = ["tls", "gcm", "ghash-generic", "ctr", "dummy"];

/// Modules that checks need: what `ss` asks for byte counts, and devices that connect network namespaces.
pub const FOR_CHECKS: [&str; 2] = ["tcp_diag", "veth"];

/// A command to run in a guest of its own.
pub struct Job {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Environment variables besides this process's.
    pub environment: Vec<(OsString, OsString)>,
    /// Its terminal, if it has one.
    pub terminal: Option<Size>,
    /// Its input.
    pub input: Input,
    /// Its output.
    pub output: Output,
    /// The time limit.
    pub timeout: Option<Duration>,
    /// Say nothing but errors.
    pub quiet: bool,
}

/// Runs `cargo xtask vm`.
pub fn main(arguments: Arguments) -> Result<u8> {
    let shell = arguments.command.is_empty();
    let on_terminal = (shell || arguments.tty) && std::io::stdin().is_terminal();
    let command = if shell { vec![login_shell()] } else { arguments.command };
    let job = Job {
        command,
        environment: Vec::new(),
        terminal: on_terminal.then(|| terminal::size().unwrap_or(Size { rows: 24, columns: 80 })),
        input: Input::Inherited,
        output: Output::Inherited,
        timeout: arguments.timeout.map(Duration::from_secs),
        quiet: arguments.quiet,
    };
    let consent = Consent::unless(arguments.no_setup);
    if !arguments.no_build {
        build_step::announce();
        build_step::build(&build_step::BuildEnvironment::prepare(consent)?, Profile::Dev)
            .context("the guest’s programs; --no-build leaves them as they are")?;
    }
    let Arguments { kernel, nic, modules, .. } = arguments;
    Prepared::new(&Hardware { kernel, nic, modules }, consent)?.run(job)
}

/// The hardware and the kernel of a guest.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Its kernel.
    pub kernel: KernelVersion,
    /// Its NICs.
    pub nic: Nic,
    /// Modules besides those every guest needs.
    pub modules: Vec<String>,
}

/// A guest that can be switched on, and the ports to talk to it.
pub struct Prepared {
    machine: Machine,
    /// For control and output.
    pub control: UnixStream,
    /// For input.
    pub input: UnixStream,
    /// Its description, in one line.
    pub description: String,
}

impl Prepared {
    /// Finds or fetches what the guest is made of.
    pub fn new(hardware: &Hardware, consent: Consent) -> Result<Self> {
        let cache = Cache::locate()?;
        let tools = setup::guest::tools(&cache, consent)?;
        let kernel = setup::guest::kernel(&cache, hardware.kernel, consent)?;
        let modules = Modules::open(&kernel.modules, kernel.plain_modules)?;
        let nic = hardware.nic.name();
        let mut wanted = vec![nic];
        wanted.extend(hardware.modules.iter().map(String::as_str));
        let archive = initramfs::build(&tools.busybox, &modules, &wanted)?;
        let accelerator = accelerator::choose(&cache, &tools.qemu, &kernel.image, &archive)?;

        let mut machine = Machine::new(&tools.qemu, accelerator, &kernel.image, &archive)?;
        machine.append(&format!("AGENT=\"{}\"", agent()?.display()));
        let control = machine.port("control", 1)?;
        let input = machine.port("input", 2)?;
        machine.disk(&tools.disk);
        machine.share_root();
        machine.nic_pair(nic);
        let description = format!("Linux {}, {accelerator}, {nic}", kernel.release);
        Ok(Self { machine, control, input, description })
    }

    /// Switches it on.
    pub fn start(self) -> Result<(Running, UnixStream, UnixStream)> {
        Ok((self.machine.start()?, self.control, self.input))
    }

    /// Switches it on, runs the job in it, and returns its exit status.
    pub fn run(self, job: Job) -> Result<u8> {
        let Job { terminal, output, timeout, .. } = job;
        if !job.quiet {
            note(&format!("guest: {}", self.description));
        }
        let has_input = job.input == Input::Inherited;
        let mut request =
            Request::new(&job.command, environment(job.environment)?, terminal, has_input)?;
        request.returns_files = true;
        let _held = signals::hold();
        let _raw = match terminal {
            Some(_) => {
                Some(terminal::Raw::enter().context("cannot lend this terminal to the guest")?)
            }
            None => None,
        };
        let (machine, control, input_port) = self.start()?;
        Session { machine, control, input_port, request, output, timeout }.run()
    }
}

/// This very program, which the guest finds where this machine has it.
fn agent() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program’s own file")
}

fn login_shell() -> OsString {
    std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())
}

/// This process's environment, with the built programs first on PATH.
pub fn environment(more: Vec<(OsString, OsString)>) -> Result<Vec<(OsString, OsString)>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(build_step::programs(Profile::Dev))
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let path = std::env::join_paths(folders).context("PATH cannot be extended")?;
    let mut all: Vec<_> = std::env::vars_os().filter(|(name, _)| name != "PATH").collect();
    all.push(("PATH".into(), path));
    all.extend(more);
    Ok(all)
}
