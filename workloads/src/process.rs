//! A child's behaviour towards its parent and the terminal.

use std::{
    io::{self, Write},
    process::exit,
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::Serialize;

use crate::{Error, Result};

/// Has the kernel kill this process when the thread that started it ends; exits at once if it has ended
/// already.
pub fn die_with_parent(parent: u32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Error::os("ask to end with the parent process"))?;
    let actual = getppid().map_or(0, Pid::as_raw_pid);
    if i64::from(actual) != i64::from(parent) {
        exit(1);
    }
    Ok(())
}

/// Ignores SIGINT, which Ctrl-C sends to the whole process group: the parent decides. And ignores
/// SIGPIPE: a consumer that goes away is an error of the call, not the end of the process.
pub fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Writes an event to standard output, in one line.
pub fn emit(event: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(event).map_err(Error::os("write an event as JSON"))?;
    line.push(b'\n');
    io::stdout().write_all(&line).map_err(Error::os("tell the driver"))
}
