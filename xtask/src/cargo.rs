//! cargo: its command, its target folder, and its output.

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{command, say};

/// A cargo command in the workspace that builds no eBPF programs.
pub fn plain() -> Command {
    let mut command = this();
    // A relative folder is relative to the user's current folder.
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_folder());
    command
}

/// The cargo that runs this tool.
pub fn this() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs cargo, and shows its output except for the last line.
pub fn stream(mut cargo: Command) -> Result<()> {
    let shown = command::show(&cargo);
    let color = if std::io::stderr().is_terminal() { "always" } else { "never" };
    cargo.env("CARGO_TERM_COLOR", color).stdin(Stdio::null()).stdout(Stdio::null());
    let started = cargo.stderr(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("`{shown}` could not be started"))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            if !is_done(&line) {
                say::line(&line);
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); what it said is above");
    }
    Ok(())
}

/// cargo's folder for everything it builds.
pub fn target_folder() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = set.unwrap_or_else(|| workspace().join("target"));
    std::path::absolute(target).unwrap_or_default()
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Said after every build, also after one that had nothing to do.
fn is_done(line: &str) -> bool {
    without_color(line).trim_start().starts_with("Finished ")
}

fn without_color(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_build_is_left_out() {
        assert!(is_done("    Finished `dev` profile [unoptimized] target(s) in 0.10s"));
        assert!(is_done("\x1b[1m\x1b[32m    Finished\x1b[0m `release` profile [optimized]"));
        assert!(!is_done("   Compiling tracer v0.1.0"));
        assert!(!is_done("warning: unused variable: `x`"));
    }
}
