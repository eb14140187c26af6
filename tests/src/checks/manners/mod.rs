//! Duties of copytrace towards the command, the user, and their files.

mod command;
mod files;
mod readers;
mod rights;
mod targets;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};

pub use command::{CHECKS as COMMAND, ON_ANY_KERNEL};
pub use files::CHECKS as FILES;
pub use readers::CHECKS as READERS;
pub use rights::CHECKS as RIGHTS;
pub use targets::CHECKS as TARGETS;

use crate::check::Context;

/// A user without write permission elsewhere.
const NOBODY: u32 = 65534;

/// `copytrace run` with no other flags than these.
fn run(context: &Context, flags: &[&str], command: &[&str]) -> Command {
    let mut run = Command::new(&context.copytrace);
    run.args(["run", "--tier", context.tier.name()]).args(flags).arg("--").args(command);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ensure_success(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    Ok(())
}

/// The caller of the checks may ignore some signals, and copytrace would inherit that.
fn with_default_signals(command: &mut Command) {
    // SAFETY: these are system calls, with no pointers.
    unsafe {
        command.pre_exec(|| {
            for number in [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM] {
                libc::signal(number, libc::SIG_DFL);
            }
            Ok(())
        })
    };
}
