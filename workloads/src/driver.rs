//! The driver's side: starts consumer and sender as children, and reads their events.
//!
//! A child ends when its handle is dropped, and when the thread that started it ends: start them
//! from a thread that stays, such as the one that runs the runtime's `block_on`.

use std::{
    ffi::OsString,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    Cache, Error, Outcome, PayloadFile, Receiver, Result, consumer,
    protocol::{ConsumerEvent, GO, Ready, SenderEvent},
    sender,
};

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest disk allowed for: bytes per second at which a warm cache is filled at least.
const SLOWEST_BYTES_PER_SECOND: u64 = 10_000_000;

/// The network of a consumer on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// On 127.0.0.1, in this network namespace.
    Loopback,
    /// On the address of another network namespace, such as `/run/netns/copytrace`.
    Namespace(PathBuf),
}

/// A consumer that runs as a child.
#[derive(Debug)]
pub struct Consumer {
    process: ChildProcess,
    addr: SocketAddr,
}

impl Consumer {
    /// Starts a consumer. `exe` is a program that has [`crate::child::Child`] among its verbs, as a rule
    /// the running one.
    pub async fn start(exe: &Path, network: &Network) -> Result<Self> {
        let mut arguments: Vec<OsString> = vec![consumer::VERB.into(), "--listen".into()];
        match network {
            Network::Loopback => arguments.push("127.0.0.1:0".into()),
            Network::Namespace(path) => {
                arguments.extend(["0.0.0.0:0".into(), "--netns".into(), path.into()]);
            }
        }
        let mut process = ChildProcess::start("consumer", exe, arguments, None)?;
        match process.event(Some(START_TIMEOUT)).await? {
            ConsumerEvent::Listening { addr, .. } => Ok(Self { process, addr }),
            ConsumerEvent::Error { what } => Err(Error::Child(what)),
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }
}

/// A sender's task.
#[derive(Clone, Copy, Debug)]
pub struct SenderSpec<'a> {
    /// Name of the strategy.
    pub strategy: &'a str,
    /// The payload.
    pub payload: &'a PayloadFile,
    /// The receiver, for the routes to a socket.
    pub to: Receiver,
    /// The state of the payload in the page cache before the transfer.
    pub cache: Cache,
}

/// A sender that runs as a child, is set up, and waits.
#[derive(Debug)]
pub struct Sender {
    process: ChildProcess,
    ready: Ready,
}

impl Sender {
    /// Starts a sender and waits until it is set up. `exe` as for [`Consumer::start`]. A strategy that
    /// cannot run here is an [`Error::Unsupported`].
    pub async fn prepare(exe: &Path, spec: &SenderSpec<'_>) -> Result<Self> {
        let limit = START_TIMEOUT
            + Duration::from_secs(spec.payload.shape().bytes() / SLOWEST_BYTES_PER_SECOND);
        let file = spec.payload.as_fd();
        let mut process = ChildProcess::start("sender", exe, sender_arguments(spec), Some(file))?;
        match process.event(Some(limit)).await? {
            SenderEvent::Ready(ready) => Ok(Self { process, ready }),
            SenderEvent::Unsupported { reason } => Err(Error::Unsupported { reason }),
            SenderEvent::Error { what } => Err(Error::Child(what)),
            SenderEvent::Done(_) => Err(process.ended().await),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Its end of the connection to the consumer, where the route has one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.ready.local
    }

    /// The consumer's end of it.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.ready.peer
    }

    /// Process id of the other process of a transfer between two, where it started one.
    pub fn peer_pid(&self) -> Option<u32> {
        self.ready.peer_pid
    }

    /// Bytes of the payload that are in the page cache: see [`Ready::cached_bytes`].
    pub fn cached_bytes(&self) -> u64 {
        self.ready.cached_bytes
    }

    /// Has it open the window, send, close the window, and have every byte confirmed.
    ///
    /// There is no limit to how long a transfer takes; the sender gives up when it stands still.
    pub async fn go(mut self) -> Result<Outcome> {
        self.process.write_line(GO).await;
        match self.process.event(None).await? {
            SenderEvent::Done(outcome) => Ok(outcome),
            SenderEvent::Unsupported { reason } => Err(Error::Unsupported { reason }),
            SenderEvent::Error { what } => Err(Error::Child(what)),
            SenderEvent::Ready(_) => Err(self.process.ended().await),
        }
    }
}

fn sender_arguments(spec: &SenderSpec<'_>) -> Vec<OsString> {
    let shape = spec.payload.shape();
    let file = format!("/proc/self/fd/{}", spec.payload.as_fd().as_raw_fd());
    let options = [
        ("--strategy", spec.strategy.to_owned()),
        ("--messages", shape.messages().to_string()),
        ("--message-size", shape.message_bytes().to_string()),
        ("--file", file),
        ("--hash", spec.payload.hash().to_string()),
        ("--seed", spec.payload.seed().to_string()),
        ("--to", spec.to.to_string()),
        ("--cache", spec.cache.name().to_owned()),
    ];
    let options = options.into_iter().flat_map(|(name, value)| [name.into(), value.into()]);
    let dir = ["--dir".into(), spec.payload.dir().into()];
    [sender::VERB.into()].into_iter().chain(options).chain(dir).collect()
}

/// A child that speaks JSON lines. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    who: &'static str,
    pub(crate) pid: u32,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl ChildProcess {
    /// Starts it; it inherits `file`, under the same descriptor.
    pub(crate) fn start(
        who: &'static str,
        exe: &Path,
        arguments: Vec<OsString>,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Self> {
        let tried = format!("start {} as the {who}", exe.display());
        let mut command = Command::new(exe);
        command
            .args(arguments)
            .args(["--parent".to_owned(), std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(file) = file {
            inherit(&mut command, file);
        }
        let mut child = command.spawn().map_err(Error::os(tried))?;
        let pid = child.id().unwrap_or_default();
        let stdin = child.stdin.take().expect("was asked for above");
        let stdout = child.stdout.take().expect("was asked for above");
        let lines = BufReader::new(stdout).lines();
        Ok(Self { who, pid, child, stdin, lines })
    }

    /// Writes a line to it. If it has ended, the error to report is its end, not the failed write.
    pub(crate) async fn write_line(&mut self, line: &str) {
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// Kills it, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.map_err(Error::os(format!("kill the {}", self.who)))
    }

    /// Its next event.
    pub(crate) async fn event<E: DeserializeOwned>(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<E> {
        let who = self.who;
        let line = match limit {
            Some(limit) => timeout(limit, self.lines.next_line())
                .await
                .map_err(|_| Error::ChildSilent { who, seconds: limit.as_secs() })?,
            None => self.lines.next_line().await,
        };
        let Some(line) = line.map_err(Error::os(format!("hear the {who}")))? else {
            return Err(self.ended().await);
        };
        serde_json::from_str(&line).map_err(|cause| Error::ChildGibberish { who, line, cause })
    }

    /// Ends it if it has not ended by itself, and returns how it ended.
    pub(crate) async fn ended(&mut self) -> Error {
        let who = self.who;
        // A child that closed its output is about to end; one that broke the protocol must be killed.
        if timeout(Duration::from_secs(1), self.child.wait()).await.is_err() {
            let _ = self.child.start_kill();
        }
        match self.child.wait().await {
            Ok(status) => Error::ChildEnded { who, status },
            Err(cause) => Error::os(format!("wait for the {who}"))(cause),
        }
    }
}

/// Leaves `file` open in the child. It must stay open here until the child is started.
fn inherit(command: &mut Command, file: BorrowedFd<'_>) {
    let number = file.as_raw_fd();
    // SAFETY: between fork and exec this makes one system call, on a descriptor that the caller
    // keeps open until then.
    unsafe {
        command.pre_exec(move || {
            let file = BorrowedFd::borrow_raw(number);
            Ok(fcntl_setfd(file, FdFlags::empty())?)
        });
    }
}
