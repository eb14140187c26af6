//! Inherited settings that this program or Rust's runtime changes for itself: Rust opens `/dev/null` for
//! a standard descriptor that is closed, and ignores SIGPIPE; we wait for SIGCHLD, and have an error
//! instead of SIGXFSZ.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use libc::c_int;

use super::limits;

/// Signals whose disposition changes.
const CHANGED: [c_int; 3] = [libc::SIGPIPE, libc::SIGCHLD, libc::SIGXFSZ];

/// Those of [`CHANGED`] that were ignored when this program began.
static IGNORED: [AtomicBool; CHANGED.len()] = [const { AtomicBool::new(false) }; CHANGED.len()];

/// The C library calls it before Rust's runtime begins.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    for (number, ignored) in CHANGED.iter().zip(&IGNORED) {
        ignored.store(is_ignored(*number), Ordering::Relaxed);
    }
    // A file that may not grow is an error that is told.
    // SAFETY: no handler is set.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    // Open as Rust wants them, and closed again in every program that is started.
    // SAFETY: system calls; the path ends with a zero.
    unsafe {
        let null = || libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        let mut opened = null();
        while (0..=libc::STDERR_FILENO).contains(&opened) {
            opened = null();
        }
        libc::close(opened);
    }
}

/// Restores it for a command, between fork and exec.
pub fn restore() -> io::Result<()> {
    for (number, ignored) in CHANGED.iter().zip(&IGNORED) {
        let was = if ignored.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: no handler is set.
        unsafe { libc::signal(*number, was) };
    }
    limits::restore()
}

/// Whether a signal is ignored now.
pub fn is_ignored(number: c_int) -> bool {
    // SAFETY: all zeros is valid; without a new action, the call only says what there is.
    let action = unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        (libc::sigaction(number, std::ptr::null(), &raw mut action) == 0).then_some(action)
    };
    action.is_some_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_known() {
        // Rust's runtime ignores it.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGURG));
    }
}
