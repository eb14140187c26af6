//! bpf-linker: found, or built against an LLVM that can read what the toolchain writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::toolchain::Toolchain;
use crate::cache::Cache;
use crate::command;
use crate::consent::Consent;
use crate::packages::Apt;
use crate::say::Step;

/// Names the linker's program.
const VARIABLE: &str = "COPYTRACE_BPF_LINKER";
const PROGRAM: &str = "bpf-linker";
const VERSION: &str = "0.13.0";

/// The LLVMs that this version can be linked with.
const LLVMS: [u32; 2] = [22, 23];

/// The folder of a working linker, to be put on PATH.
pub fn resolve(cache: &Cache, toolchain: &Toolchain, consent: Consent) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let program = PathBuf::from(program);
        check(&program)
            .with_context(|| format!("{VARIABLE}={} is of no use", program.display()))?;
        return folder(&program);
    }
    let cached = cache.tools().join("bin").join(PROGRAM);
    for program in command::find(PROGRAM).into_iter().chain([cached.clone()]) {
        if check(&program).is_ok() {
            return folder(&program);
        }
    }
    consent.ask(PROGRAM)?;
    install(cache, toolchain).with_context(|| {
        format!("{PROGRAM} could not be built; set {VARIABLE} to a {PROGRAM} {VERSION} of yours")
    })?;
    check(&cached)?;
    folder(&cached)
}

fn folder(program: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(program)?;
    if whole.file_name().is_none_or(|name| name != PROGRAM) {
        bail!("{} must be called {PROGRAM}: rustc looks for that name", whole.display());
    }
    Ok(whole.parent().map(Path::to_owned).unwrap_or_default())
}

fn check(program: &Path) -> Result<()> {
    let said = command::stdout(Command::new(program).arg("--version"))?;
    let version = said.split_whitespace().last().unwrap_or_default();
    let newer = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    let (have, need): (Vec<u32>, Vec<u32>) = (newer(version), newer(VERSION));
    if have < need {
        bail!("{} is version {version}; {VERSION} is needed", program.display());
    }
    Ok(())
}

fn install(cache: &Cache, toolchain: &Toolchain) -> Result<()> {
    let needed = toolchain.llvm()?;
    let step = Step::start(format!("building {PROGRAM} {VERSION}"));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let llvm = match shared_llvm(needed, toolchain)? {
        Some((major, library)) => {
            command.env("LLVM_PREFIX", link_llvm(cache, &library)?);
            major
        }
        None => {
            let (major, prefix) = packaged_llvm(needed)?;
            command.env(format!("LLVM_SYS_{major}1_PREFIX"), prefix);
            major
        }
    };
    let scratch = cache.scratch()?;
    command
        // It is built in half the time without optimisation, and hardly slower: LLVM does the work.
        .args([
            "install",
            PROGRAM,
            "--version",
            VERSION,
            "--locked",
            "--force",
            "--quiet",
            "--debug",
        ])
        .args(["--no-default-features", "--features", &format!("llvm-{llvm}")])
        .arg("--root")
        .arg(cache.tools())
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", scratch.path());
    command::run(&mut command)?;
    step.done();
    Ok(())
}

/// A libLLVM that rustup brought along: the toolchain's own, else any that is new enough.
fn shared_llvm(needed: u32, toolchain: &Toolchain) -> Result<Option<(u32, PathBuf)>> {
    let mut folders = vec![toolchain.sysroot()?];
    let this = command::stdout(Command::new("rustc").args(["--print", "sysroot"]));
    folders.extend(this.map(|text| PathBuf::from(text.trim())));
    let others = command::stdout(Command::new("rustup").args(["toolchain", "list"]));
    for name in others.unwrap_or_default().lines().filter_map(|line| line.split(' ').next()) {
        let sysroot = command::stdout(
            Command::new("rustup").args(["run", name, "rustc", "--print", "sysroot"]),
        );
        folders.extend(sysroot.map(|text| PathBuf::from(text.trim())));
    }
    let found = folders.iter().flat_map(|folder| llvms_in(&folder.join("lib")));
    let usable = |major: &u32| *major >= needed && LLVMS.contains(major);
    Ok(found.into_iter().find(|(major, _)| usable(major)))
}

fn llvms_in(folder: &Path) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((shared_version(entry.file_name().to_str()?)?, entry.path())))
        .collect()
}

/// The major version in `libLLVM.so.22.1-rust-1.95.0-stable`.
fn shared_version(name: &str) -> Option<u32> {
    let (major, rest) = name.strip_prefix("libLLVM.so.")?.split_once('.')?;
    rest.contains("rust").then(|| major.parse().ok())?
}

/// Gives the library a folder that stays, laid out as the linker's build expects it.
fn link_llvm(cache: &Cache, library: &Path) -> Result<PathBuf> {
    let prefix = cache.llvm();
    let folder = prefix.join("lib");
    std::fs::create_dir_all(&folder)?;
    let name = library.file_name().context("a library has a name")?;
    for link in [folder.join("libLLVM.so"), folder.join(name)] {
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => std::os::unix::fs::symlink(library, &link)?,
        }
    }
    Ok(prefix)
}

fn packaged_llvm(needed: u32) -> Result<(u32, PathBuf)> {
    let prefix = |major: u32| PathBuf::from(format!("/usr/lib/llvm-{major}"));
    let usable: Vec<_> = LLVMS.into_iter().filter(|&major| major >= needed).collect();
    let has = |major: &u32| prefix(*major).join("include/llvm-c").is_dir();
    if let Some(major) = usable.iter().copied().find(has) {
        return Ok((major, prefix(major)));
    }
    let apt = Apt::ready()?;
    let package = |major: u32| format!("llvm-{major}-dev");
    let Some(major) = usable.iter().copied().find(|&major| apt.offers(&package(major))) else {
        bail!(
            "it needs LLVM {needed} or newer: no rustup toolchain has it, and apt has no package \
             {}",
            usable.iter().map(|&major| package(major)).collect::<Vec<_>>().join(" or ")
        );
    };
    apt.install(&[&package(major)])?;
    Ok((major, prefix(major)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_llvm_tells_its_version_by_its_name() {
        assert_eq!(shared_version("libLLVM.so.22.1-rust-1.95.0-stable"), Some(22));
        assert_eq!(shared_version("libLLVM.so"), None);
        assert_eq!(shared_version("libLLVM-22-rust-1.97.0-nightly.so"), None);
    }

    #[test]
    fn the_linker_must_have_its_name() {
        assert!(folder(Path::new("/opt/bpf-linker")).is_ok_and(|path| path == Path::new("/opt")));
        assert!(folder(Path::new("/opt/linker-22")).is_err());
    }
}
