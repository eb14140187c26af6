//! Programs of others that the checks trace: this machine's own, or unpacked into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache::Cache;
use crate::command;
use crate::consent::Consent;
use crate::packages::Apt;
use crate::say::Step;

/// A program, and the package of it.
pub struct Foreign {
    package: &'static str,
    /// From the root folder, in any of these places; `*` is a version, of which the highest is taken.
    places: &'static [&'static str],
}

/// Copies files through a socket.
pub const RSYNC: Foreign = Foreign { package: "rsync", places: &["usr/bin/rsync"] };
/// Serves files by its own server, or by `sendfile`.
pub const PYTHON: Foreign = Foreign { package: "python3", places: &["usr/bin/python3"] };
/// Keeps values in memory.
pub const REDIS: Foreign = Foreign { package: "redis-server", places: &["usr/bin/redis-server"] };
/// Scans tables.
pub const POSTGRES: Foreign =
    Foreign { package: "postgresql", places: &["usr/lib/postgresql/*/bin/postgres"] };
/// Asks the kernel what a connection carried.
pub const SS: Foreign = Foreign { package: "iproute2", places: &["usr/bin/ss", "bin/ss"] };
/// Makes network namespaces and devices.
pub const IP: Foreign =
    Foreign { package: "iproute2", places: &["usr/sbin/ip", "sbin/ip", "usr/bin/ip", "bin/ip"] };

/// All of them.
pub const ALL: [Foreign; 6] = [RSYNC, PYTHON, REDIS, POSTGRES, SS, IP];

/// A program that is there.
#[derive(Clone)]
pub struct Found {
    /// The path of the program.
    pub program: PathBuf,
    /// Of an unpacked one: what stands for the root folder.
    root: Option<PathBuf>,
}

impl Foreign {
    /// Finds it, or fetches and unpacks it.
    pub fn ensure(&self, cache: &Cache, consent: Consent) -> Result<()> {
        if self.find(&cache.all_packages()).is_ok() {
            return Ok(());
        }
        consent.ask(self.package)?;
        let step = Step::start(format!("fetching {} and what it depends on", self.package));
        let apt = Apt::ready()?;
        apt.unpack(&apt.with_dependencies(self.package)?, cache, &cache.packages(self.package))?;
        step.done();
        Ok(())
    }

    /// Finds it on this machine, or among the unpacked packages.
    pub fn find(&self, packages: &Path) -> Result<Found> {
        let unpacked = packages.join(self.package);
        let installed = self.below(Path::new("/")).map(|program| Found { program, root: None });
        installed
            .or_else(|| {
                let program = self.below(&unpacked)?;
                Some(Found { program, root: Some(unpacked) })
            })
            .with_context(|| {
                format!("there is no {}: `cargo xtask setup` fetches it", self.package)
            })
    }

    fn below(&self, root: &Path) -> Option<PathBuf> {
        let found = self.places.iter().find_map(|place| newest(root, place));
        found.filter(|program| command::is_executable(program))
    }
}

impl Found {
    /// A command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.set_library_path(&mut command);
        command
    }

    /// Sets the path of the program's libraries, for a command and its children.
    pub fn set_library_path(&self, command: &mut Command) {
        if let Some(root) = &self.root {
            let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
            let libraries = libraries.map(|folder| root.join(folder).display().to_string());
            command.env("LD_LIBRARY_PATH", libraries.join(":"));
        }
    }

    /// Another program that lies beside it.
    pub fn beside(&self, name: &str) -> Self {
        Self { program: self.program.with_file_name(name), root: self.root.clone() }
    }
}

/// The path with the highest version in the place of `*`.
fn newest(root: &Path, place: &str) -> Option<PathBuf> {
    let Some((before, after)) = place.split_once("*/") else { return Some(root.join(place)) };
    let versions = std::fs::read_dir(root.join(before)).ok()?.flatten();
    let names = versions.filter_map(|entry| entry.file_name().into_string().ok());
    let version = names.max_by_key(|name| name.parse::<u32>().unwrap_or(0))?;
    Some(root.join(before).join(version).join(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15"] {
            std::fs::create_dir_all(root.path().join("lib").join(version)).unwrap();
        }
        let found = newest(root.path(), "lib/*/bin/postgres");
        assert_eq!(found, Some(root.path().join("lib/15/bin/postgres")));
        assert_eq!(newest(root.path(), "bin/ss"), Some(root.path().join("bin/ss")));
        assert_eq!(newest(root.path(), "nowhere/*/ss"), None);
    }
}
