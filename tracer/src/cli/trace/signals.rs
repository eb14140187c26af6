//! Signals that would end this program, and must not end it without a report.

use std::{
    future::poll_fn,
    io,
    sync::atomic::{AtomicI32, Ordering},
    task::Poll,
};

use libc::c_int;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::cli::inherited::is_ignored;

/// All signals that end a program by default and can be handled, except those for its own faults and
/// pipes.
const ENDING: [c_int; 12] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGXCPU,
    libc::SIGPWR,
    libc::SIGIO,
];

/// `si_code` of signals from the kernel itself, such as Ctrl-C to all programs in the terminal's
/// foreground.
const FROM_KERNEL: c_int = 0x80;

/// The last `si_code` of each of [`ENDING`], and its `si_pid`.
static CODES: [AtomicI32; ENDING.len()] = [const { AtomicI32::new(0) }; ENDING.len()];
static SENDERS: [AtomicI32; ENDING.len()] = [const { AtomicI32::new(0) }; ENDING.len()];

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Its number.
    pub number: c_int,
    /// Whether the terminal sent it to its other programs too.
    pub by_terminal: bool,
    /// The sending process; 0 if unknown, in another PID namespace.
    pub sender: u32,
}

/// The received signals, in order. Those that were ignored when this program began stay ignored, such as
/// SIGHUP under `nohup`.
pub struct Signals(Vec<(usize, Signal)>);

/// Starts to catch them. Until then they end this program: nothing is traced yet, and no pipe can block
/// it.
pub fn catch() -> io::Result<(Runtime, Signals)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::catch() })?;
    Ok((runtime, signals))
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let caught = ENDING.iter().enumerate().filter(|(_, number)| !is_ignored(**number));
        let catch = |(index, number): (usize, &c_int)| {
            // SAFETY: the action does nothing but store into atomics; any bytes are a number.
            unsafe {
                signal_hook_registry::register_sigaction(*number, move |info| {
                    CODES[index].store(info.si_code, Ordering::Relaxed);
                    SENDERS[index].store(info.si_pid(), Ordering::Relaxed);
                })?;
            }
            Ok((index, signal(SignalKind::from_raw(*number))?))
        };
        caught.map(catch).collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Caught {
        poll_fn(|context| {
            let came = |(index, signal): &mut (usize, Signal)| {
                signal.poll_recv(context).is_ready().then_some(*index)
            };
            match self.0.iter_mut().find_map(came) {
                Some(index) => Poll::Ready(Caught {
                    number: ENDING[index],
                    by_terminal: CODES[index].load(Ordering::Relaxed) == FROM_KERNEL,
                    sender: SENDERS[index].load(Ordering::Relaxed).cast_unsigned(),
                }),
                None => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_caught_with_its_origin() {
        let (runtime, mut signals) = catch().unwrap();
        let caught = runtime.block_on(async {
            // SAFETY: the signal is caught.
            unsafe { libc::raise(libc::SIGUSR2) };
            signals.next().await
        });
        let sender = std::process::id();
        assert_eq!(caught, Caught { number: libc::SIGUSR2, by_terminal: false, sender });
    }
}
