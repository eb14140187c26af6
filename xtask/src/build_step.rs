//! `cargo xtask build`: the programs, with the eBPF programs inside.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::cache::Cache;
use crate::setup::{Consent, linker, toolchain};

/// `cargo xtask build`
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
}

/// Builds everything.
pub fn main(arguments: &Arguments) -> Result<()> {
    build(&Environment::prepare(Consent::unless(arguments.no_setup))?, Profile::Release)
}

/// What cargo needs in its environment to build the eBPF programs.
pub struct Environment {
    toolchain: String,
    path: OsString,
}

impl Environment {
    /// Finds or installs what it takes.
    pub fn prepare(consent: Consent) -> Result<Self> {
        let cache = Cache::locate()?;
        let toolchain = toolchain::resolve(consent)?;
        let linker = linker::resolve(&cache, &toolchain, consent)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([linker].into_iter().chain(std::env::split_paths(&path)))
            .context("PATH cannot be extended")?;
        Ok(Self { toolchain: toolchain.name().to_owned(), path })
    }

    /// A cargo command in the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = plain_cargo();
        command.args(arguments).env("PATH", &self.path).env(toolchain::VARIABLE, &self.toolchain);
        command
    }
}

/// A cargo command in the workspace that builds no eBPF programs.
pub fn plain_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // A relative one is meant from where the user is.
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        command.env("CARGO_TARGET_DIR", std::path::absolute(target).unwrap_or_default());
    }
    command
}

/// Builds the program that tests the others, and says where it is. Much of it is built already: it is
/// part of this very program.
pub fn build_tests() -> Result<PathBuf> {
    let mut cargo = plain_cargo();
    cargo.args(["build", "--quiet", "--package", "tests"]).stdin(Stdio::null());
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo build --package tests` failed ({status}); what it said is above");
    }
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
    let color = if std::io::stderr().is_terminal() { "always" } else { "never" };
    cargo.args(["--color", color]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = cargo.stderr(Stdio::piped()).spawn().context("cannot start cargo")?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            if !is_noise(&line) && !is_done(&line) {
                eprintln!("{line}");
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`cargo build` failed ({status}); what it said is above");
    }
    Ok(())
}

/// Where the programs are that [`build`] built.
pub fn programs(profile: Profile) -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = set.unwrap_or_else(|| workspace().join("target"));
    std::path::absolute(target).unwrap_or_default().join(profile.folder())
}

/// Runs `cargo xtask bench`, a program of its own: no other verb waits for what only it needs.
pub fn bench(words: &[OsString]) -> Result<u8> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
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

/// The eBPF build's progress reaches cargo as warnings of a build script.
fn is_noise(line: &str) -> bool {
    const PROGRESS: [&str; 6] =
        ["Compiling ", "Finished ", "Fresh ", "Downloaded ", "Downloading ", "Locking "];
    let plain = without_color(line);
    let message = plain
        .strip_prefix("warning: tracer@")
        .and_then(|rest| rest.split_once(": "))
        .map(|(_, message)| message.trim_start());
    message.is_some_and(|message| {
        message.is_empty() || PROGRESS.iter().any(|word| message.starts_with(word))
    })
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
    fn only_the_sub_build_is_silenced() {
        assert!(is_noise("warning: tracer@0.1.0:    Compiling core v0.0.0 (/x)"));
        assert!(is_noise(
            "\x1b[1m\x1b[33mwarning\x1b[0m\x1b[1m:\x1b[0m tracer@0.1.0:     Finished `release`"
        ));
        assert!(!is_noise("warning: tracer@0.1.0: error: linking failed"));
        assert!(!is_noise("warning: unused variable: `x`"));
        assert!(!is_noise("   Compiling tracer v0.1.0"));
    }
}
