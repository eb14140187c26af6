//! `cargo xtask build`: the programs, with the eBPF programs inside.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::setup::Consent;
use crate::{command, ebpf, say};

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
    build(&Environment::prepare(Consent::unless(arguments.no_setup))?, Profile::Release)
}

/// What cargo needs in its environment to build the programs.
pub struct Environment {
    object: PathBuf,
}

impl Environment {
    /// Finds or installs what it takes, and builds the eBPF programs.
    pub fn prepare(consent: Consent) -> Result<Self> {
        Ok(Self { object: ebpf::object(consent)? })
    }

    /// A cargo command in the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = plain_cargo();
        command.args(arguments).env(ebpf::VARIABLE, &self.object);
        command
    }
}

/// A cargo command in the workspace that builds no eBPF programs.
pub fn plain_cargo() -> Command {
    let mut command = cargo();
    // A relative folder is meant from where the user is.
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_folder());
    command
}

/// The cargo that runs this tool.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the program that tests the others, and says where it is. Much of it is built already: it is
/// part of this very program.
pub fn build_tests() -> Result<PathBuf> {
    let mut cargo = plain_cargo();
    cargo.args(["build", "--quiet", "--package", "tests"]);
    stream(cargo)?;
    Ok(programs(Profile::Dev).join("tests"))
}

/// How the programs are built.
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
pub fn build(environment: &Environment, profile: Profile) -> Result<()> {
    let mut cargo = environment.cargo(&["build", "--profile", profile.name()]);
    cargo.args(["-p", "tracer", "-p", "workloads", "--bins"]);
    stream(cargo)
}

/// Runs cargo, and shows what it says but for its last line.
pub fn stream(mut cargo: Command) -> Result<()> {
    let shown = command::show(&cargo);
    let color = if std::io::stderr().is_terminal() { "always" } else { "never" };
    cargo.env("CARGO_TERM_COLOR", color).stdin(Stdio::null()).stdout(Stdio::null());
    let started = cargo.stderr(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("`{shown}` could not be started"))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            if !is_done(&line) {
                say::line(&line);
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); what it said is above");
    }
    Ok(())
}

/// Where the programs are that [`build`] built.
pub fn programs(profile: Profile) -> PathBuf {
    target_folder().join(profile.folder())
}

/// cargo's folder for everything it builds.
pub fn target_folder() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = set.unwrap_or_else(|| workspace().join("target"));
    std::path::absolute(target).unwrap_or_default()
}

/// Runs `cargo xtask bench`, a program of its own: no other verb waits for what only it needs.
pub fn bench(words: &[OsString]) -> Result<u8> {
    let mut cargo = cargo();
    cargo.arg("run").arg("--quiet").arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    cargo.args(["--package", "bench", "--", "bench"]).args(words);
    // Its signals, its terminal and its exit status are this process's own.
    Err(cargo.exec()).context("cannot start cargo, which builds and starts the benchmark")
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Said after every build, also after one that had nothing to do.
fn is_done(line: &str) -> bool {
    without_color(line).trim_start().starts_with("Finished ")
}

fn without_color(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_build_is_left_out() {
        assert!(is_done("    Finished `dev` profile [unoptimized] target(s) in 0.10s"));
        assert!(is_done("\x1b[1m\x1b[32m    Finished\x1b[0m `release` profile [optimized]"));
        assert!(!is_done("   Compiling tracer v0.1.0"));
        assert!(!is_done("warning: unused variable: `x`"));
    }
}
