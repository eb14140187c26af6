//! Puts the eBPF object where `include_bytes_aligned!` finds it: built here, or built before.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use aya_build::{Package, Toolchain};

/// A rustup toolchain's name, or the prefix of an installed one (`/usr`). `cargo xtask` sets it.
const TOOLCHAIN: &str = "COPYTRACE_BPF_TOOLCHAIN";

/// The path of an object that was built before, or [`NO_OBJECT`]: neither needs a BPF toolchain.
const OBJECT: &str = "COPYTRACE_EBPF_OBJECT";

/// For lints and unit tests, which load no programs. The command refuses to measure without them.
const NO_OBJECT: &str = "none";

fn main() -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let version = match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => {
            println!("cargo:rustc-env=COPYTRACE_COMMIT={commit}");
            format!("{version} ({commit})")
        }
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=COPYTRACE_VERSION={version}");
    // A line is added to it with each commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo:rerun-if-changed={log}");
    }
    println!("cargo:rerun-if-env-changed={OBJECT}");
    match std::env::var_os(OBJECT).filter(|value| !value.is_empty()) {
        None => build(),
        Some(value) if value == NO_OBJECT => {
            std::fs::write(destination()?, []).context("cannot write an empty eBPF object")
        }
        Some(value) => take(Path::new(&value)),
    }
}

/// The output of git, one line, if this is a repository and git is installed.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

fn destination() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("OUT_DIR").context("cargo has not set OUT_DIR")?;
    Ok(PathBuf::from(folder).join("tracer-ebpf"))
}

fn take(object: &Path) -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed={}", object.display());
    std::fs::copy(object, destination()?).map(drop).with_context(|| {
        format!(
            "cannot copy the eBPF object {}; {OBJECT} must be the path of one (a relative one \
             begins at tracer/), or `{NO_OBJECT}`",
            object.display()
        )
    })
}

fn build() -> anyhow::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-ebpf");
    println!("cargo:rerun-if-env-changed={TOOLCHAIN}");
    println!("cargo:rerun-if-changed={}", concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-common"));
    let toolchain = std::env::var(TOOLCHAIN).ok();
    if toolchain.as_deref().is_some_and(|name| name.starts_with('/')) {
        // A distribution's rustc is a stable one, and building `core` for BPF is still unstable.
        // SAFETY: no other thread runs in this program.
        unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    }
    let toolchain = toolchain.as_deref().map_or_else(Toolchain::default, Toolchain::Custom);
    let package = Package { name: "tracer-ebpf", root_dir: root, ..Package::default() };
    aya_build::build_ebpf([package], toolchain).with_context(|| {
        format!(
            "could not build the eBPF programs; `cargo xtask build` finds or installs the BPF \
             toolchain, or set {TOOLCHAIN} to a toolchain that has the BPF core library, or \
             {OBJECT} to an object that was built before"
        )
    })
}
