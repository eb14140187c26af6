//! The sender: the measured process.

mod consumer;
mod datagrams;
mod dummy;
mod extents;
mod far_end;
mod file;
mod peer;
mod request;

use std::{
    io::{self, BufRead},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use crate::{
    CheckedBy, Error, Outcome, Receiver, Result, Shape, cache,
    counts::CallCounts,
    pinned, process,
    protocol::{GO, Ready, SenderEvent},
    strategy::{
        contract::{Failure, Job, Transfer},
        counterpart::Counterpart,
    },
    usage::Usage,
    window,
};
use consumer::Connection;
use datagrams::Correspondent;
use dummy::Dummy;
use far_end::{Arrived, FarEnd};
use file::Destination;
use peer::Peer;
pub(crate) use request::{Request, SenderArgs};

/// The verb of the sender.
pub(crate) const VERB: &str = "run-sender";

/// Runs as a child: sets everything up, reports `ready`, waits for `go`, sends, and reports `done`.
pub fn run(args: &SenderArgs) -> Result<()> {
    process::ignore_signals();
    process::die_with_parent(args.parent)?;
    let request = Request::from_args(args)?;
    let outcome = send(&request, |ready| {
        process::emit(&SenderEvent::Ready(ready))?;
        told_to_go()
    })?;
    outcome.map_or(Ok(()), |outcome| process::emit(&SenderEvent::Done(outcome)))
}

/// Whether the driver sent `go`, and did not close its end.
fn told_to_go() -> Result<bool> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Error::os("wait for the driver"))?;
    Ok(line.trim_end() == GO)
}

/// Sets up, asks `gate` whether to continue, sends, and has every byte confirmed. No outcome if the gate
/// was closed.
pub(crate) fn send(
    request: &Request,
    gate: impl FnOnce(Ready) -> Result<bool>,
) -> Result<Option<Outcome>> {
    let Request { strategy, shape, .. } = request;
    check_length(request)?;
    let far_end = open(request)?;
    let (file, remote) = (request.file.as_fd(), far_end.remote());
    let job = Job { file, socket: far_end.fd(), remote, dir: &request.dir, shape: *shape };
    let mut transfer = (strategy.prepare)(&job)?;
    let cached_bytes = cache::establish(&request.file, shape.bytes(), request.cache)?;
    let (local, peer) = far_end.addresses()?.unzip();
    let (pid, peer_pid) = (std::process::id(), remote.map(|remote| remote.pid));
    if !gate(Ready { pid, local, peer, peer_pid, cached_bytes })? {
        return Ok(None);
    }
    pinned::pin()?;
    far_end.start()?;
    let measured = measure(transfer.as_mut(), far_end.as_ref());
    measured.result.map_err(|failure| measured.explain(failure, far_end.as_ref(), *shape))?;
    far_end.settle()?;
    let arrived_ns = nanoseconds(measured.start.elapsed());
    let received = transfer.received()?.map(Arrived::from);
    drop(transfer);
    let arrived = received.map_or_else(|| far_end.arrived(), Ok)?;
    let checked_by = confirm(&arrived, request, far_end.as_ref())?;
    let shared_bytes = far_end.shared_bytes();
    let outcome = measured.outcome(request);
    Ok(Some(Outcome { arrived_ns, cached_bytes, shared_bytes, checked_by, ..outcome }))
}

/// Sets up the far end that a strategy needs.
fn open(request: &Request) -> Result<Box<dyn FarEnd>> {
    Ok(match request.strategy.counterpart {
        Counterpart::Consumer(service) => Box::new(Connection::open(request, service)?),
        Counterpart::Datagrams if request.to == Some(Receiver::Dummy) => Box::new(Dummy::make()?),
        Counterpart::Datagrams => Box::new(Correspondent::open(request)?),
        Counterpart::File => Box::new(Destination::create(request)?),
        Counterpart::Process(channel) => Box::new(Peer::start(request, channel)?),
    })
}

fn check_length(request: &Request) -> Result<()> {
    let found = request.file.metadata().map_err(Error::os("stat the payload"))?.len();
    let expected = request.shape.bytes();
    if found == expected { Ok(()) } else { Err(Error::PayloadLength { expected, found }) }
}

/// Measurements of one transfer from inside the process.
struct Measured {
    result: Result<(), Failure>,
    counts: CallCounts,
    usage: Usage,
    start: Instant,
    elapsed: Duration,
}

/// Makes the transfer in a window. Clock and resource usage are read outside of it: on some machines
/// reading the clock is a system call.
fn measure(transfer: &mut dyn Transfer, far_end: &dyn FarEnd) -> Measured {
    let socket = far_end.socket();
    let mut counts = CallCounts::default();
    let before = Usage::now();
    let start = Instant::now();
    window::open(socket);
    let result = transfer.run(&mut counts);
    window::close();
    let elapsed = start.elapsed();
    let usage = Usage::now().since(before);
    Measured { result, counts, usage, start, elapsed }
}

impl Measured {
    fn explain(&self, failure: Failure, far_end: &dyn FarEnd, shape: Shape) -> Error {
        let (sent, total) = (self.counts.sent, shape.bytes());
        match failure {
            Failure::EndOfFile => Error::PayloadEnded { sent, total },
            Failure::Call { name, errno } => far_end.broken(name, errno.into(), sent, total),
        }
    }

    fn outcome(&self, request: &Request) -> Outcome {
        Outcome {
            strategy: request.strategy.name.to_owned(),
            messages: request.shape.messages(),
            message_bytes: request.shape.message_bytes(),
            bytes: self.counts.sent,
            hash: request.hash.to_string(),
            calls: self.counts.calls(),
            partial_reads: self.counts.partial_reads,
            partial_writes: self.counts.partial_writes,
            interrupted: self.counts.interrupted,
            minor_faults: self.usage.minor_faults,
            major_faults: self.usage.major_faults,
            voluntary_switches: self.usage.voluntary_switches,
            involuntary_switches: self.usage.involuntary_switches,
            elapsed_ns: nanoseconds(self.elapsed),
            cpu_ns: self.usage.cpu_ns,
            zero_copy: self.counts.zero_copy,
            ..Outcome::default()
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Compares what arrived with what the payload is, as far as somebody knows.
fn confirm(arrived: &Arrived, request: &Request, far_end: &dyn FarEnd) -> Result<CheckedBy> {
    let sent = request.shape.bytes();
    if arrived.bytes != sent {
        return Err(far_end.lost(sent, arrived.bytes));
    }
    let Some(hash) = arrived.hash else { return Ok(CheckedBy::DeviceCounters) };
    if hash != request.hash {
        let (sent, received) = (request.hash.to_string(), hash.to_string());
        return Err(Error::Changed { sent, received });
    }
    Ok(CheckedBy::Hash)
}
