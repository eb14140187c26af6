//! Packages of a Debian-like distribution: found, fetched, unpacked aside or installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cache::{Cache, publish};
use crate::command;
use crate::consent::Consent;
use crate::say::{Step, note};

/// Kernels are replaced often: with older lists, the newest may be gone.
const FRESH: Duration = Duration::from_secs(2 * 24 * 3600);

/// apt refuses to run twice at once.
static ONE: Mutex<()> = Mutex::new(());

/// Debian's releases whose packages are taken if this machine's own sources have none, in the order to
/// ask them. What will be the next one has the newest.
pub const RELEASES: [&str; 4] = ["testing", "trixie", "bookworm", "bullseye"];
const ARCHIVE: &str = "http://deb.debian.org/debian";
const ARCHIVE_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt. It is one thread's at a time.
pub struct Apt {
    _one: MutexGuard<'static, ()>,
    /// Where its sources and lists are, if not this machine's.
    settings: Vec<String>,
}

impl Apt {
    /// apt, if this distribution has it and its lists are there.
    pub fn ready() -> Result<Self> {
        if command::find("apt-get").is_none() || command::find("dpkg").is_none() {
            bail!(
                "this distribution has no apt, and set-up knows no other. Install QEMU \
                 (qemu-system-x86_64), e2fsprogs, xz and zstd, and a Rust toolchain for BPF; \
                 busybox and the kernels for guests come from Debian’s packages only: without \
                 apt, measure this machine’s own kernel (`cargo xtask run --on host`)"
            );
        }
        let apt = Self::with(Vec::new());
        match lists_age(Path::new("/var/lib/apt/lists")) {
            None => apt.update()?,
            Some(age) if age > FRESH => {
                if let Err(error) = apt.update() {
                    note(&format!("going on with old package lists: {error:#}"));
                }
            }
            Some(_) => {}
        }
        Ok(apt)
    }

    /// apt with one of Debian's releases as its source, to download from and not to install.
    pub fn of_release(release: &str, cache: &Cache) -> Result<Self> {
        if !Path::new(ARCHIVE_KEYS).exists() {
            bail!("{ARCHIVE_KEYS} is missing: install debian-archive-keyring");
        }
        let folder = cache.package_lists(release);
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let sources = folder.join("sources.list");
        let line = format!("deb [signed-by={ARCHIVE_KEYS}] {ARCHIVE} {release} main\n");
        std::fs::write(&sources, line)?;
        let at = |name: &str| folder.join(name).display().to_string();
        let apt = Self::with(vec![
            format!("-oDir::Etc::SourceList={}", sources.display()),
            "-oDir::Etc::SourceParts=/dev/null".to_owned(),
            format!("-oDir::State::Lists={}", at("lists")),
            format!("-oDir::Cache={}", at("cache")),
            "-oAcquire::Languages=none".to_owned(),
            "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ]);
        let is_fresh = lists_age(&folder.join("lists")).is_some_and(|age| age <= FRESH);
        if !is_fresh {
            apt.update()?;
        }
        Ok(apt)
    }

    fn with(settings: Vec<String>) -> Self {
        Self { _one: ONE.lock().unwrap_or_else(PoisonError::into_inner), settings }
    }

    /// Fetches the package lists.
    pub fn update(&self) -> Result<()> {
        let step = Step::start("fetching the package lists (apt-get update)");
        // Lists of its own are in its own folder.
        let apt_get = if self.settings.is_empty() { as_root } else { Command::new };
        command::run(apt_get("apt-get").args(&self.settings).args(["update", "--quiet"])).context(
            "the package lists could not be fetched; check the network, apt’s sources, and that sudo works if you are not root",
        )?;
        step.done();
        Ok(())
    }

    /// Whether there is a package of that name.
    pub fn offers(&self, package: &str) -> bool {
        let policy = command::stdout(self.apt_cache().args(["policy", package]));
        policy.is_ok_and(|text| {
            text.lines()
                .filter_map(|line| line.trim().strip_prefix("Candidate:"))
                .any(|candidate| candidate.trim() != "(none)")
        })
    }

    /// The names of all packages that a regular expression matches.
    pub fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let text = command::stdout(self.apt_cache().args(["search", "--names-only", pattern]))?;
        Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    /// The package and whatever it depends on that is not installed.
    pub fn with_dependencies(&self, package: &str) -> Result<Vec<String>> {
        let plan = command::stdout(Command::new("apt-get").env("LC_ALL", "C").args([
            "install",
            "--simulate",
            "--no-install-recommends",
            package,
        ]))?;
        let mut names = to_be_installed(&plan);
        if names.is_empty() {
            names.push(package.to_owned());
        }
        Ok(names)
    }

    /// Fetches packages and unpacks them into a folder, without installing them.
    pub fn unpack(&self, packages: &[String], cache: &Cache, place: &Path) -> Result<()> {
        let scratch = cache.scratch()?;
        let downloads = scratch.path().join("downloads");
        std::fs::create_dir_all(&downloads)?;
        if let Err(first) = self.download(packages, &downloads) {
            note(&format!("a download failed, perhaps because the lists are old: {first:#}"));
            self.update()?;
            self.download(packages, &downloads)?;
        }
        let root = scratch.path().join("root");
        std::fs::create_dir_all(&root)?;
        for package in std::fs::read_dir(&downloads)? {
            command::run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
        }
        publish(&root, place)
    }

    fn download(&self, packages: &[String], folder: &Path) -> Result<()> {
        command::run(
            Command::new("apt-get")
                .args(&self.settings)
                .args(["download", "--quiet"])
                .args(packages)
                .current_dir(folder),
        )
        .map(drop)
    }

    fn apt_cache(&self) -> Command {
        let mut command = Command::new("apt-cache");
        // Its words are read here.
        command.env("LC_ALL", "C").args(&self.settings);
        command
    }

    /// Installs packages on this machine.
    pub fn install(&self, packages: &[&str]) -> Result<()> {
        let step = Step::start(format!("installing {} with apt", packages.join(", ")));
        let install = || {
            let mut command = as_root("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command.args(["install", "-y", "--quiet", "--no-install-recommends"]).args(packages);
            command::run(&mut command)
        };
        if install().is_err() {
            self.update()?;
            install()?;
        }
        step.done();
        Ok(())
    }
}

/// A command with the rights to change this machine: through sudo, said aloud, if need be.
pub fn as_root(program: impl AsRef<OsStr>) -> Command {
    let program = program.as_ref();
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    note(&format!("`{}` needs root: running it through sudo", program.display()));
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// A program of a small package that most machines have; installed if this one has not.
pub fn ensure_program(name: &str, package: &str, consent: Consent) -> Result<PathBuf> {
    if let Some(program) = command::find(name) {
        return Ok(program);
    }
    consent.ask(name)?;
    Apt::ready()
        .and_then(|apt| apt.install(&[package]))
        .with_context(|| format!("{name} is missing: install {package}"))?;
    command::find(name).with_context(|| format!("{package} is installed, but there is no {name}"))
}

/// The newest of several kernel packages: by the numbers in their names.
pub fn newest(packages: impl IntoIterator<Item = String>) -> Option<String> {
    packages.into_iter().max_by_key(|name| numbers(name))
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The age of the package lists; none without lists.
fn lists_age(folder: &Path) -> Option<Duration> {
    let mut names = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    names.find(|name| name.to_string_lossy().contains("_Packages"))?;
    // The lists bear the server's time; the folder that downloads pass through, this machine's.
    let fetched = folder.join("partial").metadata().ok()?.modified().ok()?;
    Some(fetched.elapsed().unwrap_or_default())
}

/// apt's simulation has a line `Inst NAME (VERSION …)` for each package.
fn to_be_installed(plan: &str) -> Vec<String> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_found_by_number_not_by_letter() {
        let names = ["linux-image-6.12.9+deb12-amd64", "linux-image-6.12.113+deb12-amd64"];
        let newest = newest(names.map(str::to_owned));
        assert_eq!(newest.as_deref(), Some("linux-image-6.12.113+deb12-amd64"));
        let names = ["linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64"];
        let newest = super::newest(names.map(str::to_owned));
        assert_eq!(newest.as_deref(), Some("linux-image-6.1.0-56-amd64"));
    }

    #[test]
    fn only_new_packages_are_fetched() {
        let plan = "Remv old [1]\nInst libfdt1 (1.6 Debian [amd64])\nInst qemu (7)\nConf qemu (7)";
        assert_eq!(to_be_installed(plan), ["libfdt1", "qemu"]);
    }
}
