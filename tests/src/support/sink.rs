//! A program that is already running, and discards its input.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::traced::wait_until;
use crate::processes::ProcessStatus;

/// `cat`, which reads a pipe and writes to `/dev/null`.
pub struct Sink {
    cat: Child,
    pipe: Option<ChildStdin>,
}

impl Sink {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let pipe = cat.stdin.take();
        Ok(Self { cat, pipe })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.cat.id()
    }

    /// Ends the call that was under way at the attach: it is in no report.
    pub fn wake(&mut self) -> Result<()> {
        self.give(1)
    }

    /// Gives it bytes, and waits until it waits for more: then it has written them all.
    pub fn give(&mut self, bytes: usize) -> Result<()> {
        let (pipe, pid) = (self.pipe.as_mut().context("it was ended")?, self.cat.id());
        pipe.write_all(&vec![7; bytes])?;
        wait_until("cat has written everything", &mut self.cat, || {
            let is_empty = matches!(rustix::io::ioctl_fionread(pipe.as_fd()), Ok(0));
            // Writing to /dev/null never sleeps: it sleeps where it reads.
            is_empty && ProcessStatus::of(pid).is_some_and(|cat| cat.state == 'S')
        })
    }

    /// It must have run to its end.
    pub fn end(mut self) -> Result<()> {
        drop(self.pipe.take());
        let status = self.cat.wait()?;
        ensure!(status.success(), "the traced program ended with {status}");
        Ok(())
    }
}
