//! The cache of set-up: downloads and builds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::kernel_version::KernelVersion;

/// How the names of folders for work in progress begin; their process's number follows.
const UNFINISHED: &str = "unfinished-";

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
        self.all_packages().join(purpose)
    }

    /// The folder of all unpacked packages.
    pub fn all_packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// The jars of a program that Maven fetches, and the `pom.xml` that they were fetched for.
    pub fn jars(&self, program: &str) -> PathBuf {
        self.root.join("jars").join(program)
    }

    /// The package lists of one of Debian's releases.
    pub fn package_lists(&self, release: &str) -> PathBuf {
        self.root.join("package-lists").join(release)
    }

    /// Everything of one guest kernel.
    pub fn kernel(&self, version: KernelVersion) -> PathBuf {
        self.root.join("kernels").join(version.to_string())
    }

    /// The guest's disk, as every run finds it.
    pub fn disk(&self) -> PathBuf {
        self.root.join("disk.ext4")
    }

    /// The cached result on the accelerator.
    pub fn accelerator(&self) -> PathBuf {
        self.root.join("accelerator.json")
    }

    /// A folder for work in progress, on the same file system as the result: renaming it is what
    /// makes the result appear, whole or not at all.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        self.sweep();
        tempfile::Builder::new()
            .prefix(&format!("{UNFINISHED}{}-", std::process::id()))
            .tempdir_in(&self.root)
            .with_context(|| format!("cannot create a folder in {}", self.root.display()))
    }

    /// Removes the leftovers of killed processes.
    fn sweep(&self) {
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if owner(&name).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                // Another process may be sweeping too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The process that works in an unfinished folder of that name.
fn owner(name: &str) -> Option<&str> {
    let (process, _) = name.strip_prefix(UNFINISHED)?.split_once('-')?;
    Some(process)
}

/// Moves a finished file or folder to its place. Another process may have been quicker: its result is as
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { root: folder.path().to_owned() };
        let (dead, finished) = (folder.path().join("unfinished-0-abc"), folder.path().join("llvm"));
        std::fs::create_dir(&dead).unwrap();
        std::fs::create_dir(&finished).unwrap();
        let ours = cache.scratch().unwrap();
        cache.sweep();
        assert!(!dead.exists() && finished.exists() && ours.path().exists());
    }
}
