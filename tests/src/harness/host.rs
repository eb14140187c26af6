//! A check on this machine's own kernel.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::place::{command, outcome};
use crate::check::{Check, Context, Outcome};

/// The reason why there are no checks here, if so.
pub fn why_not() -> Option<&'static str> {
    if !is_root() && xtask::command::find("sudo").is_none() {
        return Some("it needs root, and there is no sudo");
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("this kernel has no BTF");
    }
    None
}

/// Makes a check.
pub fn run(check: &Check, context: &Context) -> Result<Outcome> {
    let words = command(check, context)?;
    let mut command = match is_root() {
        true => Command::new(&words[0]),
        false => {
            let mut sudo = Command::new("sudo");
            sudo.arg(&words[0]);
            sudo
        }
    };
    let output = command
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", xtask::command::show(&command)))?;
    Ok(outcome(&output.stdout, &output.stderr, &output.status.to_string()))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
