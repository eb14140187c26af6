//! Signals taken one by one by a thread, instead of ending this process.

use std::time::Duration;

/// The signals a guest's command is told about.
const FORWARDED: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// A signal, or its absence.
pub enum Came {
    /// A signal to forward.
    Forward(i32),
    /// The terminal has another size.
    Resize,
    /// Nothing, in the time given.
    Nothing,
}

/// Holds the signals back while it lives.
pub struct Held(());

impl Drop for Held {
    fn drop(&mut self) {
        release();
    }
}

/// Holds the signals back in this thread and all it starts, for [`next`] to take.
pub fn hold() -> Held {
    let set = set();
    // SAFETY: the set is initialised, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
    Held(())
}

/// Lets signals through again; for a child between fork and exec.
pub fn release() {
    let set = set();
    // SAFETY: the set is initialised, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()) };
}

/// Waits for a signal, so long at most.
pub fn next(patience: Duration) -> Came {
    let set = set();
    let patience = libc::timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    // SAFETY: both pointers are to live values, and the signal's details are not asked for.
    match unsafe { libc::sigtimedwait(&set, std::ptr::null_mut(), &patience) } {
        libc::SIGWINCH => Came::Resize,
        signal if signal > 0 => Came::Forward(signal),
        _ => Came::Nothing,
    }
}

fn set() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set before anything reads it; sigaddset is given signals
    // that exist.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in FORWARDED.into_iter().chain([libc::SIGWINCH]) {
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}
