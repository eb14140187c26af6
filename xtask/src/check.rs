//! `cargo xtask check`: checks that need no root, no guest and no BPF toolchain.

use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Completion, Failed, Trial};

use crate::build_step::BuildEnvironment;
use crate::cargo::{self, workspace};
use crate::consent::Consent;
use crate::setup::toolchain;
use crate::{command, ebpf};

/// Tells `tracer/build.rs` to build no eBPF programs, where there is no toolchain for them: nothing here
/// loads them.
const WITHOUT_PROGRAMS: (&str, &str) = (ebpf::VARIABLE, "none");

/// Property tests try the same cases each time: what fails here fails everywhere.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

/// The number of lines shown of a failed step's output.
const TAIL_LINES: usize = 80;

/// One step of the checks.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Runs it.
    pub run: fn() -> Result<Done>,
}

/// The result of a step that did not fail.
pub enum Done {
    /// It passed.
    Made,
    /// It could not be made here, for this reason.
    Skipped(String),
}

/// All steps.
pub const STEPS: [Step; 6] = [
    Step { name: "typos", run: spelling },
    Step { name: "cargo deny: licences and sources of dependencies", run: dependencies },
    Step { name: "cargo fmt", run: format },
    Step { name: "cargo clippy", run: lint },
    Step { name: "cargo clippy of the eBPF programs", run: lint_programs },
    Step { name: "cargo test: unit and property tests", run: test },
];

/// Makes all steps, and reports as `cargo test` does.
pub fn main() -> ExitCode {
    // Before the first line of the report: it may take a while, and says so.
    drop(cargo(&[]));
    let report =
        libtest_mimic::Arguments { test_threads: Some(1), ..libtest_mimic::Arguments::default() };
    let trials = STEPS.iter().map(|step| Trial::ignorable_test(step.name, || trial(step)));
    libtest_mimic::run(&report, trials.collect()).exit_code()
}

fn trial(step: &Step) -> Result<Completion, Failed> {
    match (step.run)() {
        Ok(Done::Made) => Ok(Completion::Completed),
        Ok(Done::Skipped(reason)) => Ok(Completion::ignored_with(reason)),
        Err(error) => Err(format!("{error:#}").into()),
    }
}

/// Spelling, by `typos.toml`.
fn spelling() -> Result<Done> {
    by_program("typos", "typos-cli", &[])
}

/// Dependencies, by `deny.toml`. Not its advisories: they are downloaded, and change every day.
fn dependencies() -> Result<Done> {
    by_program("cargo-deny", "cargo-deny", &["check", "bans", "licenses", "sources"])
}

/// Another program, which is not installed for this, and its crate.
fn by_program(name: &str, package: &str, arguments: &[&str]) -> Result<Done> {
    match command::find(name) {
        Some(program) => made(Command::new(program).args(arguments).current_dir(workspace())),
        None => Ok(Done::Skipped(format!("there is no {name} (`cargo install {package}`)"))),
    }
}

fn format() -> Result<Done> {
    made(&mut cargo(&["fmt", "--all", "--", "--check"]))
}

fn lint() -> Result<Done> {
    made(&mut cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]))
}

fn test() -> Result<Done> {
    // Of a failure only the end is shown: what failed, and no backtrace.
    made(cargo(&["test", "--no-fail-fast"]).env(SEED.0, SEED.1).env("RUST_BACKTRACE", "0"))
}

/// The eBPF programs, for their own target. That needs the clippy of a toolchain that can build for it,
/// which is not installed for this.
fn lint_programs() -> Result<Done> {
    let toolchain = match toolchain::resolve(Consent::Withheld) {
        Ok(toolchain) => toolchain,
        Err(_) => return Ok(Done::Skipped("there is no toolchain for BPF".to_owned())),
    };
    if command::run(toolchain.command("cargo").args(["clippy", "--version"])).is_err() {
        let name = toolchain.name();
        return Ok(Done::Skipped(format!("the toolchain for BPF, {name}, has no clippy")));
    }
    let mut clippy = toolchain.command("cargo");
    clippy.args(["clippy", "--package", "tracer-ebpf", "--target", "bpfel-unknown-none"]);
    // The library's source of a released compiler is built with what is not stable yet.
    clippy.args(["-Z", "build-std=core", "--", "-D", "warnings"]).env("RUSTC_BOOTSTRAP", "1");
    clippy.env("CARGO_ENCODED_RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"");
    // The compiler of this program is another one.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        clippy.env_remove(variable);
    }
    made(clippy.current_dir(workspace()))
}

/// With the eBPF programs inside, if nothing has to be installed for that: then this build and the others
/// share their artefacts.
fn cargo(arguments: &[&str]) -> Command {
    static ENVIRONMENT: LazyLock<Option<BuildEnvironment>> =
        LazyLock::new(|| BuildEnvironment::prepare(Consent::Withheld).ok());
    match &*ENVIRONMENT {
        Some(environment) => environment.cargo(arguments),
        None => {
            let mut cargo = cargo::plain();
            cargo.args(arguments).env(WITHOUT_PROGRAMS.0, WITHOUT_PROGRAMS.1);
            cargo
        }
    }
}

fn made(command: &mut Command) -> Result<Done> {
    let shown = command::show(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("`{shown}` could not be started"))?;
    if !output.status.success() {
        let said = [output.stderr, output.stdout].concat();
        let said = command::tail(&String::from_utf8_lossy(&said), TAIL_LINES);
        bail!("`{shown}` failed ({}):\n{said}", output.status);
    }
    Ok(Done::Made)
}
