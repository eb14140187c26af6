//! What can go wrong: each one line on what was tried, what the kernel said, and what to do.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitStatus};

use tracer_ledger::size;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
///
/// The kernel's words are part of each message and not a source of their own: a chain of errors
/// would print them twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no strategy of this name.
    #[error("no strategy is called `{name}`: choose one of {known}")]
    UnknownStrategy {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The strategy cannot run here: no fault of the run, and no reason to stop the others.
    #[error("not possible here: {reason}")]
    Unsupported {
        /// What is missing, in one line.
        reason: String,
    },
    /// Nothing to send, or too much to count.
    #[error(
        "{messages} messages of {message_bytes} bytes cannot be sent: take at least one message of at least one byte, and less than 8 EiB of all"
    )]
    Shape {
        /// How many messages.
        messages: u64,
        /// Bytes of one.
        message_bytes: u64,
    },
    /// The file system has no room for the payload.
    #[error(
        "{}: no room for a payload of {}, {} are free ({cause}): make room there, or choose another directory with --dir",
        dir.display(), size(*needed), size(*free)
    )]
    DiskFull {
        /// Where the payload was to lie.
        dir: PathBuf,
        /// Bytes it needs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The payload's file has another length than the messages.
    #[error(
        "the payload's file has {found} bytes instead of {expected}: give a file of exactly that length"
    )]
    PayloadLength {
        /// What the messages need.
        expected: u64,
        /// What the file has.
        found: u64,
    },
    /// The payload's file ended in the middle of the transfer.
    #[error(
        "the payload's file ended after {sent} of {total} bytes: something cut it off, run again"
    )]
    PayloadEnded {
        /// Bytes sent until then.
        sent: u64,
        /// Bytes to send.
        total: u64,
    },
    /// Nobody was named to send to.
    #[error("{strategy} needs a consumer: give its address with --to")]
    NoConsumer {
        /// Name of the strategy.
        strategy: &'static str,
    },
    /// Nobody listens where the consumer should.
    #[error(
        "no consumer can be reached at {addr} ({cause}): start one there with `workloads consume --listen {}:{}`, or check address and firewall",
        if addr.is_ipv6() { "[::]" } else { "0.0.0.0" }, addr.port()
    )]
    Unreachable {
        /// Where it should be.
        addr: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// What listens there is something else.
    #[error(
        "{addr} is no consumer of this version of copytrace: start one there with `workloads consume`, from the same build"
    )]
    Stranger {
        /// Where it was to be.
        addr: SocketAddr,
    },
    /// The consumer went away in the middle.
    #[error(
        "the consumer closed the connection after {sent} of {total} bytes ({cause}): see what it printed, and start it again"
    )]
    Disconnected {
        /// Bytes sent until then; the consumer may have received fewer.
        sent: u64,
        /// Bytes to send.
        total: u64,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The consumer stopped receiving, or never answered.
    #[error(
        "the consumer made no progress for {seconds} s after {sent} of {total} bytes: check that it runs and that the network is up"
    )]
    Stalled {
        /// Seconds without progress.
        seconds: u64,
        /// Bytes sent until then.
        sent: u64,
        /// Bytes to send.
        total: u64,
    },
    /// Bytes were lost or came twice.
    #[error(
        "the other end received {received} bytes of {sent}: the transfer lost or repeated some, its numbers are void"
    )]
    Lost {
        /// Bytes sent.
        sent: u64,
        /// Bytes received.
        received: u64,
    },
    /// Datagrams were lost, which nobody sends again.
    #[error(
        "{received} of {sent} bytes arrived: datagrams were dropped on their way, and nobody sends those again, so the transfer's numbers are void; `nstat -az UdpRcvbufErrors UdpInErrors` and `ip -s link` say where; send fewer messages (--messages)"
    )]
    DatagramsLost {
        /// Bytes sent.
        sent: u64,
        /// Bytes received.
        received: u64,
    },
    /// The bytes are not those of the payload.
    #[error(
        "the other end received other bytes than were sent (blake3 {received} instead of {sent}): the transfer's numbers are void"
    )]
    Changed {
        /// Hash of the payload.
        sent: String,
        /// Hash of what arrived.
        received: String,
    },
    /// The network namespace does not exist.
    #[error("{}: no such network namespace: make one with `ip netns add {name}` or leave --netns out", path.display())]
    NoNamespace {
        /// Where it should be.
        path: PathBuf,
        /// Its name for `ip netns`.
        name: String,
    },
    /// The network namespace has no address to reach it by.
    #[error(
        "this network namespace has no IPv4 address but loopback: bring an interface up in it (`ip addr add`, `ip link set up`), or give --listen an address"
    )]
    NoAddress,
    /// A file is there, but it is none of a broker's logs.
    #[error("{} is no log of this broker: choose another directory", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the log open.
    #[error("{} is open in another broker: end that one, or choose another directory", path.display())]
    LogInUse {
        /// The log.
        path: PathBuf,
    },
    /// A record is damaged, and it is not the last one.
    #[error(
        "{}: the record at offset {at} is damaged ({flaw}), and intact ones follow it: cutting them off would lose acknowledged messages; restore the file from a copy, or cut it yourself with `truncate -s {at}`",
        path.display()
    )]
    DamagedLog {
        /// The log.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        flaw: String,
    },
    /// The log has no room for another record.
    #[error("{} is as long as a log can be: begin a new one in another directory", path.display())]
    LogFull {
        /// The log.
        path: PathBuf,
    },
    /// An earlier write failed so that nobody knows what is on disk.
    #[error(
        "{} takes no more messages ({why}): an earlier write to its disk failed; start the broker again to find out what is there",
        path.display()
    )]
    BrokenLog {
        /// The log.
        path: PathBuf,
        /// What the kernel said then.
        why: String,
    },
    /// A broker that hands messages out unseen was asked for something that takes a look at them.
    #[error(
        "a broker of flavour {flavour} cannot {what}: its messages go out with sendfile(), which answers only how many bytes it sent, so the broker never sees what is in them; ask one of flavour rocketmq"
    )]
    NeedsContent {
        /// The flavour.
        flavour: &'static str,
        /// What it cannot do.
        what: &'static str,
    },
    /// A consumer got more or fewer messages than are in the log.
    #[error(
        "a consumer received {received} messages of {messages}: the broker lost or repeated some, its numbers are void"
    )]
    Undelivered {
        /// Messages in the log.
        messages: u64,
        /// Messages received.
        received: u64,
    },
    /// A consumer got a message twice, or before one that is older.
    #[error("a consumer received messages out of order: the broker's numbers are void")]
    OutOfOrder,
    /// A broker refused a request: its own words.
    #[error("{0}")]
    Refused(String),
    /// A call to the kernel failed.
    #[error("cannot {tried}: {cause}{}{advice}", if advice.is_empty() { "" } else { ": " })]
    Os {
        /// What was tried.
        tried: String,
        /// What the kernel said.
        cause: io::Error,
        /// What to do about it, if there is a thing to do.
        advice: &'static str,
    },
    /// A child process reported an error: its own words.
    #[error("{0}")]
    Child(String),
    /// A child process ended without a word.
    #[error("the {who} ended unexpectedly ({status}): see what it printed above")]
    ChildEnded {
        /// Which child.
        who: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// A child process said nothing for too long.
    #[error("the {who} said nothing for {seconds} s: the machine may be overloaded, run again")]
    ChildSilent {
        /// Which child.
        who: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A child process said something else than was agreed.
    #[error("the {who} said {line:?} ({cause}): run it with a program of the same version")]
    ChildGibberish {
        /// Which child.
        who: &'static str,
        /// What it said.
        line: String,
        /// What is wrong with that.
        cause: serde_json::Error,
    },
}

impl Error {
    /// For `map_err`: a call to the kernel failed, and there is nothing special to do about it.
    pub(crate) fn os<E: Into<io::Error>>(tried: impl Into<String>) -> impl FnOnce(E) -> Self {
        Self::os_advice(tried, "")
    }

    /// For `map_err`: a call to the kernel failed.
    pub(crate) fn os_advice<E: Into<io::Error>>(
        tried: impl Into<String>,
        advice: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |cause| Self::Os { tried, cause: cause.into(), advice }
    }

    /// For `map_err`: a call failed that some kernels do not know, or do not allow.
    pub(crate) fn refused<E: Into<io::Error>>(
        tried: impl Into<String>,
        advice: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |cause| {
            let cause = cause.into();
            match cause.raw_os_error() {
                Some(
                    libc::ENOSYS
                    | libc::EPERM
                    | libc::EACCES
                    | libc::EINVAL
                    | libc::EOPNOTSUPP
                    | libc::ENOPROTOOPT,
                ) => Self::Unsupported { reason: format!("cannot {tried}: {cause}: {advice}") },
                _ => Self::Os { tried, cause, advice },
            }
        }
    }
}
