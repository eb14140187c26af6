//! The limit of open files: each probe takes one or two, and each map and program one.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What it was when this program began.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises it as far as it goes without a right. It was low for programs that use `select`, which this
/// one does not.
pub fn raise_open_files() {
    let before = getrlimit(Resource::Nofile);
    // If it cannot be raised, it is said which file could not be opened.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    let _ = BEFORE.set(before);
}

/// Sets it as it was: for a command, between fork and exec.
pub fn restore_open_files() -> std::io::Result<()> {
    match BEFORE.get() {
        Some(before) => Ok(setrlimit(Resource::Nofile, *before)?),
        None => Ok(()),
    }
}

/// What to do about an error, if it is that limit.
pub fn advice(error: &str) -> &'static str {
    let full = std::io::Error::from_raw_os_error(libc::EMFILE).to_string();
    match error.contains(&full) {
        true => "; copytrace needs about 300 files: raise the limit with `ulimit -Hn 1024`",
        false => "",
    }
}
