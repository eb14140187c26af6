//! Programs that run beside this one, and end with it.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use xtask::{command, signals};

/// The interval of polling.
const TICK: Duration = Duration::from_millis(20);

/// The time a program has to end after a signal; an emulated one is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// The number of lines of stderr shown.
const TAIL_LINES: usize = 12;

/// A program that is stopped when this is dropped, or when this process dies.
pub struct Running {
    child: Child,
    name: &'static str,
    said: PathBuf,
}

impl Running {
    /// Starts it without input. Its stderr is kept in `folder`.
    pub fn start(mut command: Command, name: &'static str, folder: &Path) -> Result<Self> {
        let said = folder.join(format!("{name}.stderr"));
        command.stdin(Stdio::null()).stderr(File::create(&said)?);
        // Ctrl-C on the terminal is for this process, which stops the others in their order.
        command.process_group(0);
        // SAFETY: both are system calls only, which are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                signals::release();
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let shown = command::show(&command);
        let child = command.spawn().with_context(|| format!("`{shown}` could not be started"))?;
        Ok(Self { child, name, said })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The end of its stderr.
    pub fn said(&self) -> String {
        let text = std::fs::read(&self.said).unwrap_or_default();
        command::tail(&String::from_utf8_lossy(&text), TAIL_LINES)
    }

    /// Waits until it ends by itself, successfully.
    pub fn finish(mut self) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("{} ended with {status}: {}", self.name, self.said());
                }
                return Ok(());
            }
            pause(TICK)?;
        }
    }

    /// Sends a signal, and waits for its end. Its exit status is ignored: the caller judges its result.
    pub fn stop(mut self, signal: i32) -> Result<()> {
        self.end(signal, pause)
    }

    fn end(&mut self, signal: i32, pause: fn(Duration) -> Result<()>) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // SAFETY: kill only sends a signal, to a child that has not been waited for.
        unsafe { libc::kill(i32::try_from(self.child.id())?, signal) };
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
                bail!("{} did not end within {} s", self.name, PATIENCE.as_secs());
            }
            pause(TICK)?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Another signal during the clean-up changes nothing: all programs must end first.
        let uninterrupted = |time| {
            std::thread::sleep(time);
            Ok(())
        };
        if let Err(error) = self.end(libc::SIGTERM, uninterrupted) {
            xtask::say::note(&format!("{error:#}"));
        }
    }
}

/// Waits, unless this process is asked to end.
pub fn pause(time: Duration) -> Result<()> {
    match signals::next(time) {
        signals::Came::Forward(_) => bail!("interrupted"),
        signals::Came::Resize | signals::Came::Nothing => Ok(()),
    }
}

/// Repeats `ask` until the answer is yes; an error after `patience`.
pub fn wait_until(
    what: &str,
    patience: Duration,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let since = Instant::now();
    while !is_so()? {
        if since.elapsed() > patience {
            bail!("waited {} s for {what}", patience.as_secs());
        }
        pause(TICK)?;
    }
    Ok(())
}

/// A text file.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// CPU time these processes have used so far, in seconds.
pub fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|&pid| cpu_seconds_of(pid)).sum()
}

fn cpu_seconds_of(pid: u32) -> Result<f64> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are to live values.
    let failed = unsafe {
        libc::clock_getcpuclockid(i32::try_from(pid)?, &mut clock) != 0
            || libc::clock_gettime(clock, &mut time) != 0
    };
    if failed {
        bail!("process {pid} has no CPU clock: it is gone");
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}
