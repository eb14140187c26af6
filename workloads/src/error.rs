//! Errors: each one line with the failed action, the kernel's error, and the remedy.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitStatus};

use tracer_ledger::size;

/// The result of every fallible function here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error.
///
/// The kernel's error text is part of each message, and not its source: a chain of errors would print it
/// twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no strategy of this name.
    #[error("no strategy is called `{name}`: choose one of {known}")]
    UnknownStrategy {
        /// The requested name.
        name: String,
        /// All names.
        known: String,
    },
    /// The strategy cannot run here: not a failure, and no reason to stop the others.
    #[error("not possible here: {reason}")]
    Unsupported {
        /// The missing feature, in one line.
        reason: String,
    },
    /// Nothing to send, or too much to count.
    #[error(
        "{messages} messages of {message_bytes} bytes cannot be sent: take at least one message of at least one byte, and less than 8 EiB of all"
    )]
    Shape {
        /// The number of messages.
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
        /// The directory of the payload.
        dir: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// The kernel's error.
        cause: io::Error,
    },
    /// The payload's file has another length than the messages.
    #[error(
        "the payload's file has {found} bytes instead of {expected}: give a file of exactly that length"
    )]
    PayloadLength {
        /// Bytes of all messages.
        expected: u64,
        /// Bytes of the file.
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
    /// No receiver was named.
    #[error("{strategy} needs a consumer: give its address with --to")]
    NoConsumer {
        /// Name of the strategy.
        strategy: &'static str,
    },
    /// Nothing listens at the consumer's address.
    #[error(
        "no consumer can be reached at {addr} ({cause}): start one there with `workloads consume --listen {}:{}`, or check address and firewall",
        if addr.is_ipv6() { "[::]" } else { "0.0.0.0" }, addr.port()
    )]
    Unreachable {
        /// The consumer's address.
        addr: SocketAddr,
        /// The kernel's error.
        cause: io::Error,
    },
    /// The listener at the address is not a consumer.
    #[error(
        "{addr} is no consumer of this version of copytrace: start one there with `workloads consume`, from the same build"
    )]
    Stranger {
        /// The address.
        addr: SocketAddr,
    },
    /// The consumer closed the connection during the transfer.
    #[error(
        "the consumer closed the connection after {sent} of {total} bytes ({cause}): see what it printed, and start it again"
    )]
    Disconnected {
        /// Bytes sent until then; the consumer may have received fewer.
        sent: u64,
        /// Bytes to send.
        total: u64,
        /// The kernel's error.
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
    /// Bytes were lost or repeated.
    #[error(
        "the other end received {received} bytes of {sent}: the transfer lost or repeated some, its numbers are void"
    )]
    Lost {
        /// Bytes sent.
        sent: u64,
        /// Bytes received.
        received: u64,
    },
    /// Datagrams were lost: UDP does not retransmit.
    #[error(
        "{received} of {sent} bytes arrived: datagrams were dropped on their way, and nobody sends those again, so the transfer's numbers are void; `nstat -az UdpRcvbufErrors UdpInErrors` and `ip -s link` say where; send fewer messages (--messages)"
    )]
    DatagramsLost {
        /// Bytes sent.
        sent: u64,
        /// Bytes received.
        received: u64,
    },
    /// The received bytes are not those of the payload.
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
        /// Its path.
        path: PathBuf,
        /// Its name for `ip netns`.
        name: String,
    },
    /// The network namespace has no address outside of loopback.
    #[error(
        "this network namespace has no IPv4 address but loopback: bring an interface up in it (`ip addr add`, `ip link set up`), or give --listen an address"
    )]
    NoAddress,
    /// The file is not a log of a broker.
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
        /// The offset of the record.
        at: u64,
        /// The flaw.
        flaw: String,
    },
    /// The log has no room for another record.
    #[error("{} is as long as a log can be: begin a new one in another directory", path.display())]
    LogFull {
        /// The log.
        path: PathBuf,
    },
    /// An earlier write failed, and the content on disk is unknown.
    #[error(
        "{} takes no more messages ({why}): an earlier write to its disk failed; start the broker again to find out what is there",
        path.display()
    )]
    BrokenLog {
        /// The log.
        path: PathBuf,
        /// The kernel's error at that time.
        why: String,
    },
    /// A broker that does not read messages was asked for a feature that needs their content.
    #[error(
        "a broker of flavour {flavour} cannot {what}: its messages go out with sendfile(), which answers only how many bytes it sent, so the broker never sees what is in them; ask one of flavour rocketmq"
    )]
    NeedsContent {
        /// The flavour.
        flavour: &'static str,
        /// The missing feature.
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
    /// A broker refused a request: its own text.
    #[error("{0}")]
    Refused(String),
    /// A call to the kernel failed.
    #[error("cannot {tried}: {cause}{}{advice}", if advice.is_empty() { "" } else { ": " })]
    Os {
        /// The failed action.
        tried: String,
        /// The kernel's error.
        cause: io::Error,
        /// The remedy; empty if there is none.
        advice: &'static str,
    },
    /// A child process reported an error: its own text.
    #[error("{0}")]
    Child(String),
    /// A child process ended without an event.
    #[error("the {who} ended unexpectedly ({status}): see what it printed above")]
    ChildEnded {
        /// The child.
        who: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// A child process sent no event for too long.
    #[error("the {who} said nothing for {seconds} s: the machine may be overloaded, run again")]
    ChildSilent {
        /// The child.
        who: &'static str,
        /// Seconds waited.
        seconds: u64,
    },
    /// A child process broke the protocol.
    #[error("the {who} said {line:?} ({cause}): run it with a program of the same version")]
    ChildGibberish {
        /// The child.
        who: &'static str,
        /// The line it sent.
        line: String,
        /// The error of the parser.
        cause: serde_json::Error,
    },
}

impl Error {
    /// For `map_err`: a failed call to the kernel, without a special remedy.
    pub(crate) fn os<E: Into<io::Error>>(tried: impl Into<String>) -> impl FnOnce(E) -> Self {
        Self::os_advice(tried, "")
    }

    /// For `map_err`: a failed call to the kernel, with a remedy.
    pub(crate) fn os_advice<E: Into<io::Error>>(
        tried: impl Into<String>,
        advice: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |cause| Self::Os { tried, cause: cause.into(), advice }
    }

    /// For `map_err`: a failed call that some kernels do not know, or do not permit.
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
