//! Limits: of open files, for each probe takes one or two, and each map and program one; of locked memory,
//! which maps count as before Linux 5.11.

use std::{io, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const RAISED: [Resource; 2] = [Resource::Nofile, Resource::Memlock];

/// What they were when this program began.
static BEFORE: OnceLock<[Rlimit; RAISED.len()]> = OnceLock::new();

/// Raises them as far as they go: without a right, to the hard limits.
pub fn raise() {
    let before = RAISED.map(getrlimit);
    let [files, memory] = RAISED;
    // What cannot be raised shows where it is too low.
    // It was low for programs that use `select`, which this one does not.
    let _ = setrlimit(files, Rlimit { current: before[0].maximum, ..before[0] });
    let _ = setrlimit(memory, Rlimit { current: None, maximum: None })
        .or_else(|_| setrlimit(memory, Rlimit { current: before[1].maximum, ..before[1] }));
    let _ = BEFORE.set(before);
}

/// Sets them as they were: for a command, between fork and exec.
pub fn restore() -> io::Result<()> {
    let Some(before) = BEFORE.get() else { return Ok(()) };
    RAISED.into_iter().zip(before).try_for_each(|(limit, was)| Ok(setrlimit(limit, *was)?))
}

/// What to do about an error, if it is that limit.
pub fn advice(error: &str) -> &'static str {
    let full = io::Error::from_raw_os_error(libc::EMFILE).to_string();
    match error.contains(&full) {
        true => "; copytrace needs about 300 files: raise the limit with `ulimit -Hn 1024`",
        false => "",
    }
}
