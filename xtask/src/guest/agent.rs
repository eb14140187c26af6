//! The guest's end: starts the command and relays its streams, its signals and its exit status.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::protocol::{CONTROL_PORT, INPUT_PORT, Kind, Request, Size, receive, send};

/// The shell's exit status for a command that cannot be started.
const NOT_STARTED: i32 = 127;

/// How long output may still come after the command has ended, from children it left behind.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Serves one command, and then waits to be switched off: this machine does so as soon as it has
/// the exit status, so nothing in flight can be lost.
pub fn main() -> Result<()> {
    let open = |path| File::options().read(true).write(true).open(path).context(path);
    let control = open(CONTROL_PORT)?;
    let input = open(INPUT_PORT)?;
    let output = Output::new(control.try_clone()?);
    output.send(Kind::Ready, &[])?;
    let Some((Kind::Start, request)) = receive(&control)? else {
        bail!("the first frame was not a command");
    };
    let request: Request = serde_json::from_slice(&request)?;
    let status = match start(&request) {
        Ok(running) => serve(running, control, input, &output)?,
        Err(error) => {
            output.send(Kind::Failed, format!("{error:#}").as_bytes())?;
            NOT_STARTED
        }
    };
    output.send(Kind::Exit, &status.to_le_bytes())?;
    loop {
        std::thread::park();
    }
}

/// The way back, shared by all who have something to say.
#[derive(Clone)]
struct Output {
    port: Arc<Mutex<File>>,
    waiting: Arc<AtomicUsize>,
}

impl Output {
    fn new(port: File) -> Self {
        Self { port: Arc::new(Mutex::new(port)), waiting: Arc::default() }
    }

    fn send(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let result = send(&mut *port, kind, payload);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Whether nobody is held up by a slow reader.
    fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }
}

/// The started command and this side of its streams.
struct Running {
    child: Child,
    input: File,
    outputs: Vec<(Kind, File)>,
    terminal: Option<File>,
}

fn start(request: &Request) -> Result<Running> {
    let words = request.command();
    let (program, arguments) = words.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(request.environment()).current_dir(request.folder());
    let spawned = match request.terminal {
        Some(size) => start_on_terminal(&mut command, size),
        None => start_on_pipes(&mut command),
    };
    spawned.with_context(|| {
        format!("cannot run `{}` in {}", program.display(), request.folder().display())
    })
}

fn start_on_pipes(command: &mut Command) -> io::Result<Running> {
    let mut child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let missing = || io::Error::other("a stream is missing");
    let input = OwnedFd::from(child.stdin.take().ok_or_else(missing)?).into();
    let stdout = OwnedFd::from(child.stdout.take().ok_or_else(missing)?).into();
    let stderr = OwnedFd::from(child.stderr.take().ok_or_else(missing)?).into();
    let outputs = vec![(Kind::Stdout, stdout), (Kind::Stderr, stderr)];
    Ok(Running { child, input, outputs, terminal: None })
}

fn start_on_terminal(command: &mut Command, size: Size) -> io::Result<Running> {
    let (ours, theirs) = open_terminal(size)?;
    command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
    // SAFETY: setsid and ioctl are async-signal-safe, and touch nothing of this process.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    // The command's end must be closed here, or its last exit would not end the stream.
    *command = Command::new("");
    let outputs = vec![(Kind::Stdout, ours.try_clone()?)];
    Ok(Running { child, input: ours.try_clone()?, outputs, terminal: Some(ours) })
}

fn open_terminal(size: Size) -> io::Result<(File, OwnedFd)> {
    let (mut ours, mut theirs) = (-1, -1);
    let size = window(size);
    // SAFETY: both descriptors are written by the call; a null name and null settings are allowed.
    let result = unsafe {
        libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size)
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: openpty gave these two descriptors to this function alone.
    unsafe { Ok((File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))) }
}

fn window(size: Size) -> libc::winsize {
    libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Relays everything until the command has ended and all it wrote is on its way.
fn serve(running: Running, control: File, input: File, output: &Output) -> io::Result<i32> {
    let Running { mut child, input: to_child, outputs, terminal } = running;
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    let on_terminal = terminal.is_some();
    std::thread::spawn(move || relay_input(input, to_child, on_terminal));
    std::thread::spawn(move || obey(control, group, terminal));
    let (ended, all_ended) = channel();
    for (kind, from) in outputs {
        let (output, ended) = (output.clone(), ended.clone());
        std::thread::spawn(move || relay_output(kind, from, &output, &ended));
    }
    drop(ended);
    let status = child.wait()?;
    wait_for_streams(&all_ended, output);
    Ok(exit_code(status))
}

/// Waits until every stream has ended, or has been silent for a while: a child that was left
/// behind may hold it open for ever.
fn wait_for_streams(progress: &Receiver<()>, output: &Output) {
    loop {
        match progress.recv_timeout(AFTERMATH) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if output.is_idle() => return,
            _ => {}
        }
    }
}

fn relay_output(kind: Kind, mut from: File, output: &Output, progress: &Sender<()>) {
    let mut buffer = vec![0; 32 * 1024 - 5];
    // A terminal reports the end of its last program as an error.
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if output.send(kind, &buffer[..length]).is_err() || progress.send(()).is_err() {
            return;
        }
    }
}

fn relay_input(port: File, mut to: File, on_terminal: bool) {
    while let Ok(Some((Kind::Input, bytes))) = receive(&port) {
        if bytes.is_empty() && on_terminal {
            // There is no closing half of a terminal: its end is a character.
            let _ = to.write_all(&[4]);
            return;
        }
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn obey(control: File, group: i32, terminal: Option<File>) {
    while let Ok(Some((kind, payload))) = receive(&control) {
        match (kind, payload.as_slice()) {
            (Kind::Signal, &[a, b, c, d]) => {
                let signal = i32::from_le_bytes([a, b, c, d]);
                // SAFETY: kill only sends a signal; the group is the command's own.
                unsafe { libc::kill(-group, signal) };
            }
            (Kind::Resize, json) => {
                if let (Some(terminal), Ok(size)) = (&terminal, serde_json::from_slice(json)) {
                    let size = window(size);
                    // SAFETY: TIOCSWINSZ reads one winsize.
                    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
                }
            }
            _ => {}
        }
    }
}

/// As shells have it: a signal is 128 and its number.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(NOT_STARTED)
}
