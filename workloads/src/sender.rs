//! The sender: the process that is measured.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Cache, Error, Outcome, Result, Shape, cache, child, pinned, process,
    protocol::{Answer, GO, Ready, SenderEvent},
    strategy::{self, Failure, Job, Strategy, Transfer},
    tally::Tally,
    usage::Usage,
    window,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call may wait for the consumer. A stalled transfer can take a few of them to notice,
/// as long as each still got some bytes into a buffer.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Arguments of the sender as a child of [`crate::driver::Sender`].
#[derive(Clone, Debug, clap::Args)]
pub struct SenderArgs {
    #[arg(long)]
    pub(crate) strategy: String,
    #[arg(long)]
    pub(crate) messages: u64,
    /// Bytes
    #[arg(long)]
    pub(crate) message_size: u64,
    /// The payload
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// blake3 of the payload
    #[arg(long)]
    pub(crate) hash: blake3::Hash,
    /// Address of the consumer
    #[arg(long)]
    pub(crate) to: SocketAddr,
    #[arg(long)]
    pub(crate) cache: Cache,
    /// Process id of the driver
    #[arg(long)]
    pub(crate) parent: u32,
}

/// One transfer to make.
pub(crate) struct Request {
    pub strategy: &'static dyn Strategy,
    pub shape: Shape,
    /// Opened for this transfer alone: its position is at the beginning.
    pub file: File,
    pub hash: blake3::Hash,
    pub to: SocketAddr,
    pub cache: Cache,
}

/// Runs as a child: sets everything up, says `ready`, waits for `go`, sends, and says `done`.
pub fn run(args: &SenderArgs) -> Result<()> {
    process::ignore_signals();
    process::die_with_parent(args.parent)?;
    let request = Request::from_args(args)?;
    let outcome = send(&request, |ready| {
        child::say(&SenderEvent::Ready(ready))?;
        told_to_go()
    })?;
    outcome.map_or(Ok(()), |outcome| child::say(&SenderEvent::Done(outcome)))
}

impl Request {
    fn from_args(args: &SenderArgs) -> Result<Self> {
        let tried = format!("open the payload {}", args.file.display());
        Ok(Self {
            strategy: strategy::find(&args.strategy)?,
            shape: Shape::new(args.messages, args.message_size)?,
            file: File::open(&args.file).map_err(Error::os_advice(tried, "mount /proc"))?,
            hash: args.hash,
            to: args.to,
            cache: args.cache,
        })
    }
}

/// Whether the driver said `go`, and did not close its end.
fn told_to_go() -> Result<bool> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Error::os("wait for the driver"))?;
    Ok(line.trim_end() == GO)
}

/// Sets up, asks `gate` whether to go on, sends, and has the consumer confirm every byte. Without
/// an outcome if the gate was closed.
pub(crate) fn send(
    request: &Request,
    gate: impl FnOnce(Ready) -> Result<bool>,
) -> Result<Option<Outcome>> {
    let Request { strategy, shape, .. } = request;
    check_length(request)?;
    let socket = connect(request.to)?;
    let job = Job { file: request.file.as_fd(), socket: socket.as_fd(), shape: *shape };
    let mut transfer = strategy.prepare(&job)?;
    let cached_bytes = cache::establish(&request.file, shape.bytes(), request.cache)?;
    let ready = Ready {
        pid: std::process::id(),
        local: socket.local_addr().map_err(Error::os("ask for the sender's address"))?,
        peer: socket.peer_addr().map_err(Error::os("ask for the consumer's address"))?,
        cached_bytes,
    };
    if !gate(ready)? {
        return Ok(None);
    }
    pinned::pin()?;
    let measured = measure(transfer.as_mut(), &socket);
    drop(transfer);
    measured.result.map_err(|failure| measured.explain(failure, *shape))?;
    confirm(&socket, request)?;
    Ok(Some(measured.outcome(request, cached_bytes)))
}

fn check_length(request: &Request) -> Result<()> {
    let found = request.file.metadata().map_err(Error::os("stat the payload"))?.len();
    let expected = request.shape.bytes();
    if found == expected { Ok(()) } else { Err(Error::PayloadLength { expected, found }) }
}

fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT)
        .map_err(|cause| Error::Unreachable { addr, cause })?;
    // As brokers do: the end of a message does not wait for an acknowledgement.
    socket
        .set_nodelay(true)
        .and_then(|()| socket.set_write_timeout(Some(STALL_TIMEOUT)))
        .and_then(|()| socket.set_read_timeout(Some(STALL_TIMEOUT)))
        .map_err(Error::os("set the connection's options"))?;
    Ok(socket)
}

/// What was seen of one transfer from inside the process.
struct Measured {
    result: Result<(), Failure>,
    tally: Tally,
    usage: Usage,
    elapsed: Duration,
}

/// Makes the transfer in a window. The clock and the accounts are read outside of it: on some
/// machines that is a system call.
fn measure(transfer: &mut dyn Transfer, socket: &TcpStream) -> Measured {
    let mut tally = Tally::default();
    let before = Usage::now();
    let start = Instant::now();
    window::open(socket.as_fd());
    let result = transfer.run(&mut tally);
    window::close();
    let elapsed = start.elapsed();
    let usage = Usage::now().since(before);
    Measured { result, tally, usage, elapsed }
}

impl Measured {
    fn explain(&self, failure: Failure, shape: Shape) -> Error {
        let (sent, total) = (self.tally.sent, shape.bytes());
        match failure {
            Failure::EndOfFile => Error::PayloadEnded { sent, total },
            Failure::Call { name, errno } => broken(name, errno.into(), sent, total),
        }
    }

    fn outcome(&self, request: &Request, cached_bytes: u64) -> Outcome {
        Outcome {
            strategy: request.strategy.name().to_owned(),
            messages: request.shape.messages(),
            message_bytes: request.shape.message_bytes(),
            bytes: self.tally.sent,
            hash: request.hash.to_string(),
            calls: self.tally.calls(),
            partial_reads: self.tally.partial_reads,
            partial_writes: self.tally.partial_writes,
            interrupted: self.tally.interrupted,
            minor_faults: self.usage.minor_faults,
            major_faults: self.usage.major_faults,
            voluntary_switches: self.usage.voluntary_switches,
            involuntary_switches: self.usage.involuntary_switches,
            elapsed_ns: u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX),
            cached_bytes,
        }
    }
}

/// What a failed call says about the connection.
fn broken(name: &str, cause: io::Error, sent: u64, total: u64) -> Error {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WouldBlock,
    };
    match cause.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
            Error::Disconnected { sent, total, cause }
        }
        // A blocking socket says so when its time is up.
        WouldBlock => Error::Stalled { seconds: STALL_TIMEOUT.as_secs(), sent, total },
        _ => Error::os(format!("{name} after {sent} of {total} bytes"))(cause),
    }
}

/// Ends the stream and compares what the consumer received with what the payload is.
fn confirm(mut socket: &TcpStream, request: &Request) -> Result<()> {
    let sent = request.shape.bytes();
    let mut wire = [0; Answer::LENGTH];
    socket
        .shutdown(Shutdown::Write)
        .and_then(|()| socket.read_exact(&mut wire))
        .map_err(|cause| broken("read", cause, sent, sent))?;
    let answer = Answer::decode(&wire);
    if answer.bytes != sent {
        return Err(Error::Lost { sent, received: answer.bytes });
    }
    if answer.hash != request.hash {
        let (sent, received) = (request.hash.to_string(), answer.hash.to_string());
        return Err(Error::Changed { sent, received });
    }
    Ok(())
}
