//! Copies of the programs, made when the checks begin. Meanwhile a step builds the unit tests, with other
//! features of libraries, and overwrites the programs. A guest, which caches pages of a file by its path,
//! would then run a mixture of both.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Copies of the programs, removed when this is dropped.
pub struct Kept {
    folder: TempDir,
}

impl Kept {
    /// Copies what is there now: the command, stripped as every distribution does it, this very program,
    /// and `workloads` beside them.
    pub fn keep(copytrace: &Path) -> Result<Self> {
        let beside = copytrace.parent().context("no folder")?;
        let folder = tempfile::Builder::new().prefix("checked-").tempdir_in(beside)?;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
        let programs = Self { folder };
        strip(copytrace, &programs.copytrace())?;
        copy(&std::env::current_exe()?, &programs.tests())?;
        copy(&beside.join("workloads"), &programs.folder.path().join("workloads"))?;
        Ok(programs)
    }

    /// The command under test.
    pub fn copytrace(&self) -> PathBuf {
        self.folder.path().join("copytrace")
    }

    /// The program that makes the checks.
    pub fn tests(&self) -> PathBuf {
        self.folder.path().join("tests")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Writes a program without its symbols. The linker's package has `strip`, too.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let strip = Command::new("strip").arg("--strip-all").arg("-o").args([to, from]).output();
    let failed = || format!("cannot strip {} (`strip` is of binutils)", from.display());
    let output = strip.with_context(failed)?;
    ensure!(output.status.success(), "{}: {}", failed(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
