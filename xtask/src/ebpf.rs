//! The eBPF programs: one object, whatever the profile of the programs that carry it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cache::Cache;
use crate::cargo::{stream, target_folder, workspace};
use crate::consent::Consent;
use crate::say::Step;
use crate::setup::toolchain::Toolchain;
use crate::setup::{linker, toolchain};

/// Names the object, to this tool and to `tracer/build.rs`.
pub const VARIABLE: &str = "COPYTRACE_EBPF_OBJECT";

const PACKAGE: &str = "tracer-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// The object that the user named, or a new one of these sources.
pub fn object(consent: Consent) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return named.canonicalize().with_context(|| {
            format!("{VARIABLE}={} is no eBPF object; without it, one is built", named.display())
        });
    }
    let cache = Cache::locate()?;
    let toolchain = toolchain::resolve(consent)?;
    let linker = linker::resolve(&cache, &toolchain, consent)?;
    build(&toolchain, &linker)
}

/// The folder that [`object`] builds in.
pub fn built() -> PathBuf {
    target_folder().join("ebpf").join(TARGET).join("release").join(PACKAGE)
}

fn build(toolchain: &Toolchain, linker: &Path) -> Result<PathBuf> {
    let object = built();
    let step = (!object.exists()).then(|| Step::start("building the eBPF programs"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([linker.to_owned()].into_iter().chain(std::env::split_paths(&path)))
            .context("PATH cannot be extended")?;
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--release", "--package", PACKAGE, "--bins"])
        .args(["--target", TARGET, "-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(target_folder().join("ebpf"))
        .current_dir(workspace())
        .env("PATH", path)
        .env("CARGO_ENCODED_RUSTFLAGS", flags());
    stream(cargo).context("could not build the eBPF programs")?;
    if let Some(step) = step {
        step.done();
    }
    Ok(object)
}

/// For every crate: the registers are this machine's; types and lines end up in the object's BTF.
fn flags() -> String {
    let machine = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    [&machine, "-Cdebuginfo=2", "-Clink-arg=--btf"].join("\x1f")
}
