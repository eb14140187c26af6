//! This machine's end of a guest that is given one command after the other.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::BOOT_PATIENCE;
use super::death::Death;
use super::protocol::{FrameKind, Request, receive, send};
use crate::qemu::Running;
use crate::vm::Prepared;

/// A guest that has booted. It is switched off when dropped.
pub struct Guest {
    machine: Running,
    control: UnixStream,
    /// The time it took to boot: a measure of its speed.
    pub boot_time: Duration,
}

/// A command that ran to its end.
pub struct Finished {
    /// Its exit status; 128 and a signal's number if that ended it.
    pub status: i32,
    /// Its output on stdout.
    pub stdout: Vec<u8>,
    /// Its output on stderr.
    pub stderr: Vec<u8>,
}

/// The reason why a command did not end.
pub enum Lost {
    /// The guest.
    Died(Death),
    /// The time limit; with its stderr until then.
    TimedOut(Vec<u8>),
}

/// The next event from the guest.
enum Next {
    Frame(FrameKind, Vec<u8>),
    Ended,
    TimedOut,
}

impl Guest {
    /// Switches a guest on and waits until it has booted.
    pub fn boot(prepared: Prepared) -> Result<Self> {
        let since = Instant::now();
        let (machine, control, _) = prepared.start()?;
        let mut guest = Self { machine, control, boot_time: Duration::ZERO };
        match guest.next(since + BOOT_PATIENCE) {
            Next::Frame(FrameKind::Ready, _) => guest.boot_time = since.elapsed(),
            Next::Frame(kind, _) => bail!("the guest began with {kind:?}"),
            Next::Ended => return Err(guest.death("the guest ended before it was ready").into()),
            Next::TimedOut => {
                let what = format!("the guest did not boot in {} s", BOOT_PATIENCE.as_secs());
                return Err(guest.death(&what).into());
            }
        }
        Ok(guest)
    }

    /// Runs a command. A guest that lost one can run no more.
    pub fn run(&mut self, request: &Request, time: Duration) -> Result<Result<Finished, Lost>> {
        let deadline = Instant::now() + time;
        let json = serde_json::to_vec(request)?;
        if send(&self.control, FrameKind::Start, &json).is_err() {
            return Ok(Err(Lost::Died(self.death("the guest ended between two commands"))));
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.next(deadline) {
                Next::Frame(FrameKind::Stdout, bytes) => stdout.extend(bytes),
                Next::Frame(FrameKind::Stderr | FrameKind::Failed, bytes) => stderr.extend(bytes),
                Next::Frame(FrameKind::Exit, status) => {
                    let status = status.try_into().map_or(1, i32::from_le_bytes);
                    return Ok(Ok(Finished { status, stdout, stderr }));
                }
                Next::Frame(kind, _) => bail!("the guest sent {kind:?} while a command ran"),
                Next::Ended => {
                    let death = self.death("the guest ended before its command did");
                    return Ok(Err(Lost::Died(death)));
                }
                Next::TimedOut => return Ok(Err(Lost::TimedOut(stderr))),
            }
        }
    }

    /// The next frame. A truncated one is the end.
    fn next(&self, deadline: Instant) -> Next {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time-out of zero would be none.
        let wait = self.control.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        match wait.and_then(|()| receive(&self.control)) {
            Ok(Some((kind, payload))) => Next::Frame(kind, payload),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Next::TimedOut,
            _ => Next::Ended,
        }
    }

    fn death(&self, what: &str) -> Death {
        // Its log is complete when it is off.
        self.machine.stop();
        Death::new(what.to_owned(), &self.machine.log.text())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.machine.stop();
    }
}
