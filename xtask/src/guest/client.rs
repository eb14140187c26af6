//! This machine's end of one command in a guest of its own: sends it, relays streams and signals,
//! receives the exit status.

use std::io::{Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::death::Death;
use super::files::Taken;
use super::protocol::{FrameKind, Request, receive, send};
use crate::qemu::Running;
use crate::say::note;
use crate::{signals, terminal};

/// Emulated machines boot in five seconds; busy ones take longer.
pub const BOOT_PATIENCE: Duration = Duration::from_secs(120);

/// The interval at which deadlines are checked.
const TICK: Duration = Duration::from_millis(50);

/// The source of the command's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is none.
    Nothing,
    /// This process's stdin.
    Inherited,
}

/// The destination of the command's stdout.
pub enum Output {
    /// To this process's stdout.
    Inherited,
    /// To this writer.
    To(Box<dyn Write>),
}

/// The connections to a guest, and its command.
pub struct Session {
    /// The running guest.
    pub machine: Running,
    /// The port for control and output.
    pub control: UnixStream,
    /// The port for input.
    pub input_port: UnixStream,
    /// The command.
    pub request: Request,
    /// Its output.
    pub output: Output,
    /// The time limit.
    pub timeout: Option<Duration>,
}

/// The reason why a guest was switched off before its command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Interrupted(i32),
    BootTimeout,
    Timeout,
}

/// State shared by the watching thread and the relaying one.
#[derive(Default)]
struct Shared {
    ready: AtomicBool,
    over: AtomicBool,
    cut: Mutex<Option<Cut>>,
}

impl Shared {
    fn cut(&self) -> Option<Cut> {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Runs the command to its end. Signals must be blocked already.
    pub fn run(mut self) -> Result<u8> {
        let shared = Arc::new(Shared::default());
        let watch = Watch {
            machine: self.machine.handle(),
            control: self.control.try_clone()?,
            shared: Arc::clone(&shared),
            timeout: self.timeout,
        };
        let watch = std::thread::spawn(move || watch.run());
        let status = self.converse(&shared);
        shared.over.store(true, Ordering::SeqCst);
        self.machine.stop();
        // While a signal is handled there must be exactly one watch.
        let _ = watch.join();
        match (status?, shared.cut()) {
            (Some(status), _) => Ok(u8::try_from(status).unwrap_or(u8::MAX)),
            (None, Some(Cut::Interrupted(signal))) => {
                Ok(u8::try_from(128 + signal).unwrap_or(u8::MAX))
            }
            (None, Some(Cut::Timeout)) => bail!(
                "the command did not end in {} s, and the guest was switched off; --timeout sets \
                 the limit",
                self.timeout.unwrap_or_default().as_secs()
            ),
            (None, cut) => {
                let what = match cut {
                    Some(_) => format!("the guest did not boot in {} s", BOOT_PATIENCE.as_secs()),
                    None if shared.ready.load(Ordering::SeqCst) => {
                        "the guest ended before its command did".to_owned()
                    }
                    None => "the guest ended before it was ready".to_owned(),
                };
                Err(Death::new(what, &self.machine.log.text()).into())
            }
        }
    }

    /// The exit status, or none if the guest ended first.
    fn converse(&mut self, shared: &Shared) -> Result<Option<i32>> {
        let mut files = Taken::default();
        let folder = PathBuf::from(self.request.folder());
        loop {
            // A guest that was switched off during a frame has ended too.
            let Ok(Some((kind, payload))) = receive(&self.control) else { return Ok(None) };
            match kind {
                FrameKind::Ready => {
                    shared.ready.store(true, Ordering::SeqCst);
                    self.begin()?;
                }
                FrameKind::Stdout => match &mut self.output {
                    Output::Inherited => write_on(&mut std::io::stdout().lock(), &payload)?,
                    Output::To(other) => write_on(other.as_mut(), &payload)?,
                },
                FrameKind::Stderr => write_on(&mut std::io::stderr().lock(), &payload)?,
                FrameKind::Failed => {
                    eprintln!("xtask: in the guest: {}", String::from_utf8_lossy(&payload));
                }
                FrameKind::File => files.head(&payload, &folder)?,
                FrameKind::Piece => files.piece(&payload, &folder)?,
                FrameKind::Exit => {
                    files.said().iter().for_each(|line| note(line));
                    let status = payload.try_into().map(i32::from_le_bytes).unwrap_or(1);
                    return Ok(Some(status));
                }
                _ => bail!("the guest sent {kind:?}, which only this side sends"),
            }
        }
    }

    fn begin(&self) -> Result<()> {
        let request = serde_json::to_vec(&self.request)?;
        send(&self.control, FrameKind::Start, &request).context("the guest does not listen")?;
        if self.request.input {
            let port = self.input_port.try_clone()?;
            std::thread::spawn(move || relay_input(&port));
        }
        Ok(())
    }
}

fn write_on(to: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    to.write_all(bytes).and_then(|()| to.flush()).context("cannot pass the command’s output on")
}

fn relay_input(port: &UnixStream) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = std::io::stdin().lock().read(&mut buffer).unwrap_or(0);
        if send(port, FrameKind::Input, &buffer[..length]).is_err() || length == 0 {
            return;
        }
    }
}

/// Handles signals and deadlines while the command runs.
struct Watch {
    machine: Running,
    control: UnixStream,
    shared: Arc<Shared>,
    timeout: Option<Duration>,
}

impl Watch {
    fn run(self) {
        let since = Instant::now();
        let mut signalled = false;
        while !self.shared.over.load(Ordering::SeqCst) {
            match signals::next(TICK) {
                signals::Came::Forward(signal) => {
                    if signalled || !self.shared.ready.load(Ordering::SeqCst) {
                        return self.end(Cut::Interrupted(signal));
                    }
                    signalled = true;
                    let _ = send(&self.control, FrameKind::Signal, &signal.to_le_bytes());
                }
                signals::Came::Resize => self.resize(),
                signals::Came::Nothing => {}
            }
            if self.timeout.is_some_and(|timeout| since.elapsed() > timeout) {
                return self.end(Cut::Timeout);
            }
            if !self.shared.ready.load(Ordering::SeqCst) && since.elapsed() > BOOT_PATIENCE {
                return self.end(Cut::BootTimeout);
            }
        }
    }

    fn resize(&self) {
        if let Some(size) = terminal::size()
            && let Ok(json) = serde_json::to_vec(&size)
        {
            let _ = send(&self.control, FrameKind::Resize, &json);
        }
    }

    /// Switches the guest off, which ends the conversation.
    fn end(&self, cut: Cut) {
        *self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
        self.machine.stop();
        if let Cut::Interrupted(signal) = cut {
            // The other thread may be blocked writing to a reader that has stopped.
            std::thread::sleep(Duration::from_secs(1));
            terminal::restore();
            std::process::exit(128 + signal);
        }
    }
}
