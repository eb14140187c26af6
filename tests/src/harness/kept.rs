//! The programs as they are when the checks begin. Meanwhile a step builds for the unit tests, with other
//! features of libraries, and puts what it built in the place of these; and a guest, which keeps pages
//! of a file by its path, would run a mixture of both.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// Copies of the programs, gone when this is dropped.
pub struct Kept {
    folder: TempDir,
}

impl Kept {
    /// Copies what is there now: the command, and this very program.
    pub fn keep(copytrace: &Path) -> Result<Self> {
        let beside = copytrace.parent().context("no folder")?;
        let folder = tempfile::Builder::new().prefix("checked-").tempdir_in(beside)?;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
        let programs = Self { folder };
        for (from, to) in
            [(copytrace, programs.copytrace()), (&std::env::current_exe()?, programs.tests())]
        {
            std::fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(programs)
    }

    /// The command that is checked.
    pub fn copytrace(&self) -> PathBuf {
        self.folder.path().join("copytrace")
    }

    /// The program that makes the checks.
    pub fn tests(&self) -> PathBuf {
        self.folder.path().join("tests")
    }
}
