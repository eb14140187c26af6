//! The guest's end: starts commands, one after the other, and relays their streams, their signals and
//! their exit statuses.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::files::{self, Head};
use super::protocol::{CONTROL_PORT, FrameKind, INPUT_PORT, Request, Size, receive, send};

/// The shell's exit status for a command that cannot be started.
const NOT_STARTED: i32 = 127;

/// The time for late output after the command's end, from children it left behind.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Serves until this machine switches the guest off. That happens after the last exit status has arrived,
/// so no output is lost.
pub fn main() -> Result<()> {
    let open = |path| File::options().read(true).write(true).open(path).context(path);
    let control = open(CONTROL_PORT)?;
    let input = open(INPUT_PORT)?;
    let output = Output::new(control.try_clone()?);
    let current = Current::default();
    let (requests, wanted) = channel();
    let obeyed = current.clone();
    std::thread::spawn(move || obey(control, &requests, &obeyed));
    output.send(FrameKind::Ready, &[])?;
    for request in wanted {
        let request: Request = serde_json::from_slice(&request)?;
        let status = match start(&request) {
            Ok(running) => {
                let input = if request.input { Some(input.try_clone()?) } else { None };
                serve(running, input, &current, &output)?
            }
            Err(error) => {
                output.send(FrameKind::Failed, format!("{error:#}").as_bytes())?;
                NOT_STARTED
            }
        };
        if request.returns_files {
            let send_head = |head: &Head| output.send(FrameKind::File, &serde_json::to_vec(head)?);
            let send_piece = |piece: &[u8]| output.send(FrameKind::Piece, piece);
            if let Err(error) = files::give(Path::new(&request.folder()), send_head, send_piece) {
                let lost = format!("what the command wrote is gone with the guest: {error}");
                output.send(FrameKind::Failed, lost.as_bytes())?;
            }
        }
        output.finish(status)?;
    }
    loop {
        std::thread::park();
    }
}

/// The target of signals and of the terminal's size: none between two commands.
type Current = Arc<Mutex<Option<Target>>>;

/// The process group of a command, and its terminal, if it has one.
struct Target {
    group: i32,
    terminal: Option<File>,
}

/// The way back, shared by all threads that send.
#[derive(Clone)]
struct Output {
    port: Arc<Mutex<Port>>,
    waiting: Arc<AtomicUsize>,
}

/// The port, and the number of ended commands: late output of their children is not attributed to the
/// next one.
struct Port {
    file: File,
    ended: usize,
}

impl Output {
    fn new(file: File) -> Self {
        Self { port: Arc::new(Mutex::new(Port { file, ended: 0 })), waiting: Arc::default() }
    }

    fn send(&self, kind: FrameKind, payload: &[u8]) -> io::Result<()> {
        send(&mut self.lock().file, kind, payload)
    }

    /// Sends a command's output, as long as it is the current one.
    fn relay(&self, command: usize, kind: FrameKind, payload: &[u8]) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut port = self.lock();
        let result = match port.ended == command {
            true => send(&mut port.file, kind, payload),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Ends the current command.
    fn finish(&self, status: i32) -> io::Result<()> {
        let mut port = self.lock();
        port.ended += 1;
        send(&mut port.file, FrameKind::Exit, &status.to_le_bytes())
    }

    /// The number of the current command.
    fn command(&self) -> usize {
        self.lock().ended
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Port> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no thread is blocked by a slow reader.
    fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }
}

/// The started command and this side of its streams.
struct Running {
    child: Child,
    input: File,
    outputs: Vec<(FrameKind, File)>,
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
    let outputs = vec![(FrameKind::Stdout, stdout), (FrameKind::Stderr, stderr)];
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
    // The command's end must be closed here, or its exit would not end the stream.
    *command = Command::new("");
    let outputs = vec![(FrameKind::Stdout, ours.try_clone()?)];
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

/// Relays everything until the command has ended and all its output is on its way.
fn serve(
    running: Running,
    input: Option<File>,
    current: &Current,
    output: &Output,
) -> io::Result<i32> {
    let Running { mut child, input: to_child, outputs, terminal } = running;
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    let on_terminal = terminal.is_some();
    match input {
        Some(input) => drop(std::thread::spawn(move || relay_input(input, to_child, on_terminal))),
        None => drop(to_child),
    }
    *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Target { group, terminal });
    let (ended, all_ended) = channel();
    let command = output.command();
    for (kind, from) in outputs {
        let (output, ended) = (output.clone(), ended.clone());
        std::thread::spawn(move || relay_output(command, kind, from, &output, &ended));
    }
    drop(ended);
    let status = child.wait()?;
    wait_for_streams(&all_ended, output);
    *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

fn relay_output(
    command: usize,
    kind: FrameKind,
    mut from: File,
    output: &Output,
    progress: &Sender<()>,
) {
    let mut buffer = vec![0; 32 * 1024 - 5];
    // A terminal reports the end of its last program as an error.
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let relayed = output.relay(command, kind, &buffer[..length]);
        if relayed.is_err() || progress.send(()).is_err() {
            return;
        }
    }
}

fn relay_input(port: File, mut to: File, on_terminal: bool) {
    while let Ok(Some((FrameKind::Input, bytes))) = receive(&port) {
        if bytes.is_empty() && on_terminal {
            // A terminal cannot be half-closed: the end of input is a character.
            let _ = to.write_all(&[4]);
            return;
        }
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Passes commands on, and applies this machine's control frames to the current one.
fn obey(control: File, requests: &Sender<Vec<u8>>, current: &Current) {
    while let Ok(Some((kind, payload))) = receive(&control) {
        if kind == FrameKind::Start {
            if requests.send(payload).is_err() {
                return;
            }
        } else if let Some(target) = &*current.lock().unwrap_or_else(PoisonError::into_inner) {
            tell(target, kind, &payload);
        }
    }
}

fn tell(target: &Target, kind: FrameKind, payload: &[u8]) {
    match (kind, payload) {
        (FrameKind::Signal, &[a, b, c, d]) => {
            let signal = i32::from_le_bytes([a, b, c, d]);
            // SAFETY: kill only sends a signal; the group is the command's own.
            unsafe { libc::kill(-target.group, signal) };
        }
        (FrameKind::Resize, json) => {
            if let (Some(terminal), Ok(size)) = (&target.terminal, serde_json::from_slice(json)) {
                let size = window(size);
                // SAFETY: TIOCSWINSZ reads one winsize.
                unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
            }
        }
        _ => {}
    }
}

/// As in shells: 128 plus the number of the signal.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(NOT_STARTED)
}
