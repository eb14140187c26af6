//! A Rust toolchain that can build for BPF: it needs the core library's source.

use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command;
use crate::consent::Consent;
use crate::packages::Apt;
use crate::say::{Step, note};

/// Names a toolchain.
pub const VARIABLE: &str = "COPYTRACE_BPF_TOOLCHAIN";

/// Where distributions install.
const PREFIX: &str = "/usr";

/// Debian's packages of a current toolchain with the library's source.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// A rustup that cannot reach its server must not hold set-up for long.
const PATIENCE: Duration = Duration::from_secs(240);

/// A toolchain's name in rustup, or the prefix it is installed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    name: String,
}

impl Toolchain {
    /// As [`VARIABLE`] can have it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs one of its programs.
    pub fn command(&self, program: &str) -> Command {
        if self.name.starts_with('/') {
            return Command::new(Path::new(&self.name).join("bin").join(program));
        }
        let mut command = Command::new("rustup");
        command.args(["run", &self.name, program]);
        command
    }

    /// Its cargo, for builds of the core library: to a distribution's, which is a stable one, they
    /// are still forbidden.
    pub fn cargo(&self) -> Command {
        let mut cargo = self.command("cargo");
        if self.name.starts_with('/') {
            cargo.env("RUSTC", Path::new(&self.name).join("bin/rustc")).env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }

    /// The major version of the LLVM that it writes bitcode with.
    pub fn llvm(&self) -> Result<u32> {
        let text = command::stdout(self.command("rustc").arg("-vV"))?;
        llvm_version(&text)
            .with_context(|| format!("`rustc -vV` of {} does not name its LLVM", self.name))
    }

    /// Its folder.
    pub fn sysroot(&self) -> Result<PathBuf> {
        let text = command::stdout(self.command("rustc").args(["--print", "sysroot"]))?;
        Ok(PathBuf::from(text.trim()))
    }

    /// Whether it can build for BPF, and if not, why.
    fn check(&self) -> Result<()> {
        let version = command::stdout(self.command("rustc").arg("--version"))?;
        let needed = env!("CARGO_PKG_RUST_VERSION");
        if numbers(&version) < numbers(needed) {
            bail!("{} is older than the {needed} that this project needs", version.trim());
        }
        let source = self.sysroot()?.join("lib/rustlib/src/rust/library/core/src/lib.rs");
        if !source.exists() {
            bail!("{} has no library source (rust-src)", version.trim());
        }
        command::run(self.command("cargo").arg("--version"))?;
        Ok(())
    }
}

/// Finds a toolchain, or installs one.
pub fn resolve(consent: Consent) -> Result<Toolchain> {
    if let Some(name) = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty()) {
        let toolchain = Toolchain { name };
        toolchain
            .check()
            .with_context(|| format!("{VARIABLE}={} cannot build for BPF", toolchain.name))?;
        return Ok(toolchain);
    }
    if let Some(found) = first_working() {
        return Ok(found);
    }
    consent.ask("a Rust toolchain for BPF")?;
    let mut failures = Vec::new();
    for install in [with_rustup, with_apt] {
        match install() {
            Ok(()) => match first_working() {
                Some(found) => return Ok(found),
                None => failures.push("what was installed cannot build for BPF".to_owned()),
            },
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    bail!(
        "there is no Rust toolchain that can build for BPF.\n{}\nInstall one: `rustup toolchain \
         install nightly --component rust-src`, or your distribution’s rustc (at least {}) with \
         cargo and the library source; or set {VARIABLE} to a toolchain that has it",
        failures.join("\n"),
        env!("CARGO_PKG_RUST_VERSION"),
    )
}

fn first_working() -> Option<Toolchain> {
    nightlies()
        .into_iter()
        .chain([PREFIX.to_owned()])
        .map(|name| Toolchain { name })
        .find(|toolchain| toolchain.check().is_ok())
}

fn nightlies() -> Vec<String> {
    let list = command::stdout(Command::new("rustup").args(["toolchain", "list"]));
    list.unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
        .map(str::to_owned)
        .collect()
}

fn with_rustup() -> Result<()> {
    if command::find("rustup").is_none() {
        bail!("rustup: not installed");
    }
    let arguments: &[&str] = if nightlies().is_empty() {
        &["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"]
    } else {
        &["component", "add", "rust-src", "--toolchain", "nightly"]
    };
    let step = Step::start(format!("rustup {}", arguments.join(" ")));
    let mut rustup = Command::new("rustup");
    // One try: the distribution's packages are the second.
    rustup.args(arguments).env("RUSTUP_MAX_RETRIES", "1");
    run_within(rustup, PATIENCE).context("rustup")?;
    step.done();
    Ok(())
}

fn with_apt() -> Result<()> {
    let apt = Apt::ready()?;
    if let Some(missing) = PACKAGES.into_iter().find(|package| !apt.offers(package)) {
        bail!("apt: there is no package {missing}");
    }
    note("rustup could not provide the toolchain for BPF: taking the distribution’s");
    apt.install(&PACKAGES)
}

fn run_within(mut command: Command, patience: Duration) -> Result<()> {
    let shown = command::show(&command);
    let mut said = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let since = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                let mut text = String::new();
                said.rewind()?;
                said.read_to_string(&mut text)?;
                bail!("`{shown}` failed ({status}):\n{}", command::tail(&text, 4));
            }
            None if since.elapsed() > patience => {
                child.kill()?;
                child.wait()?;
                bail!("`{shown}` did not end in {} s", patience.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn llvm_version(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

/// The major and minor version in a text such as `rustc 1.95.0 (…)`.
fn numbers(text: &str) -> Vec<u32> {
    text.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .take(2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("rustc 1.100.0 (x 2027)") > numbers("1.95"));
        assert!(numbers("rustc 1.63.0 (4b91a6ea7 2022)") < numbers("1.95"));
        assert_eq!(numbers("1.95"), numbers("rustc 1.95.2"));
    }

    #[test]
    fn the_llvm_is_known_by_its_major_version() {
        assert_eq!(llvm_version("release: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
    }
}
