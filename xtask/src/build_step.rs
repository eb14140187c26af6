//! `cargo xtask build`: the programs, with the eBPF programs inside.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::consent::Consent;
use crate::{cargo, ebpf, say};

/// Reckoned from the 230 s of CPU time that a first run took, on machines up to twice as slow.
const FIRST_RUN: &str = "the first run fetches and builds what it needs: two to four minutes on two \
    CPUs, 2 GB of disk; later ones start at once";

/// `cargo xtask build`
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
}

/// Says how long the first run takes, before anything is fetched or built.
pub fn announce() {
    if !ebpf::built().exists() {
        say::note(FIRST_RUN);
    }
}

/// Builds everything.
pub fn main(arguments: &Arguments) -> Result<()> {
    announce();
    build(&BuildEnvironment::prepare(Consent::unless(arguments.no_setup))?, Profile::Release)
}

/// Environment variables for cargo to build the programs.
pub struct BuildEnvironment {
    object: PathBuf,
}

impl BuildEnvironment {
    /// Finds or installs the tools, and builds the eBPF programs.
    pub fn prepare(consent: Consent) -> Result<Self> {
        Ok(Self { object: ebpf::object(consent)? })
    }

    /// A cargo command in the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo::plain();
        command.args(arguments).env(ebpf::VARIABLE, &self.object);
        command
    }
}

/// Builds the program that tests the others, and returns its path. Much of it is built already, as a part
/// of this program.
pub fn build_tests() -> Result<PathBuf> {
    let mut cargo = cargo::plain();
    cargo.args(["build", "--quiet", "--package", "tests"]);
    cargo::stream(cargo)?;
    Ok(programs(Profile::Dev).join("tests"))
}

/// The profile of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// In the shortest time, sharing artefacts with this tool and with the tests.
    Dev,
    /// To be installed, or to be measured itself.
    Release,
}

impl Profile {
    /// cargo's word for it.
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// Its folder below the target folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the programs.
pub fn build(environment: &BuildEnvironment, profile: Profile) -> Result<()> {
    let mut cargo = environment.cargo(&["build", "--profile", profile.name()]);
    cargo.args(["-p", "tracer", "-p", "workloads", "--bins"]);
    cargo::stream(cargo)
}

/// The folder of the programs that [`build`] built.
pub fn programs(profile: Profile) -> PathBuf {
    cargo::target_folder().join(profile.folder())
}

/// Runs `cargo xtask bench`, a separate program: no other verb waits for its dependencies.
pub fn bench(words: &[OsString]) -> Result<u8> {
    let mut cargo = cargo::this();
    cargo
        .arg("run")
        .arg("--quiet")
        .arg("--manifest-path")
        .arg(cargo::workspace().join("Cargo.toml"));
    cargo.args(["--package", "bench", "--", "bench"]).args(words);
    // Its signals, its terminal and its exit status are this process's own.
    Err(cargo.exec()).context("cannot start cargo, which builds and starts the benchmark")
}
