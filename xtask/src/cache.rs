//! Where set-up keeps what it fetched and built.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::KernelVersion;

/// The project's cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `COPYTRACE_CACHE`, else `copytrace` in the user's cache folder.
    pub fn locate() -> Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = set("COPYTRACE_CACHE")
            .map(PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|base| PathBuf::from(base).join("copytrace")))
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache/copytrace")))
            .context("there is no place for the cache: set HOME or COPYTRACE_CACHE to a folder")?;
        let root = std::path::absolute(root)?;
        std::fs::create_dir_all(&root).with_context(|| {
            format!(
                "cannot create the cache folder {}; set COPYTRACE_CACHE to another",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `cargo install` puts tools: their programs are in `bin` under it.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// The LLVM that the linker was linked with, in a fixed place because the linker remembers it.
    pub fn llvm(&self) -> PathBuf {
        self.root.join("llvm")
    }

    /// Unpacked packages of one purpose, laid out like a root folder.
    pub fn packages(&self, purpose: &str) -> PathBuf {
        self.root.join("packages").join(purpose)
    }

    /// Everything of one guest kernel.
    pub fn kernel(&self, version: KernelVersion) -> PathBuf {
        self.root.join("kernels").join(version.to_string())
    }

    /// The guest's disk, as every run finds it.
    pub fn disk(&self) -> PathBuf {
        self.root.join("disk.ext4")
    }

    /// What is known about the accelerator.
    pub fn accelerator(&self) -> PathBuf {
        self.root.join("accelerator.json")
    }

    /// A folder for work in progress, on the same file system as the result: renaming it is what
    /// makes the result appear, whole or not at all.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix("unfinished-")
            .tempdir_in(&self.root)
            .with_context(|| format!("cannot create a folder in {}", self.root.display()))
    }
}

/// Moves a finished file or folder to its place. Somebody else may have been quicker: theirs is as
/// good.
pub fn publish(finished: &Path, place: &Path) -> Result<()> {
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::rename(finished, place) {
        Err(_) if place.is_dir() && finished.is_dir() => Ok(()),
        result => result.with_context(|| format!("cannot create {}", place.display())),
    }
}
