//! The protocol between the processes: JSON lines from a child to the driver; on the connection, the
//! sender's request to the consumer first, and the consumer's answer at the end.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Seek},
    net::SocketAddr,
};

use serde::{Deserialize, Serialize};
use tracer_ledger::{ZeroCopy, workload::CheckedBy};

/// The line on the sender's standard input that starts the transfer.
pub(crate) const GO: &str = "go";

/// The events of a consumer on its standard output, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ConsumerEvent {
    /// It accepts connections.
    Listening {
        /// Its address.
        addr: SocketAddr,
        /// Its process id.
        pid: u32,
    },
    /// It ends with an error.
    Error {
        /// The reason, in one line.
        what: String,
    },
}

/// The events of a sender on its standard output, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum SenderEvent {
    /// The set-up is complete, and it waits for `go`.
    Ready(Ready),
    /// The transfer is done, and every byte was confirmed.
    Done(Outcome),
    /// The strategy cannot run here.
    Unsupported {
        /// The reason, in one line.
        reason: String,
    },
    /// It ends with an error.
    Error {
        /// The reason, in one line.
        what: String,
    },
}

/// A sender that is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its process id.
    pub pid: u32,
    /// Its end of the connection to a consumer, where there is one.
    pub local: Option<SocketAddr>,
    /// The consumer's end of it.
    pub peer: Option<SocketAddr>,
    /// Process id of the other process, where it has started one.
    pub peer_pid: Option<u32>,
    /// Bytes of the payload that are in the page cache: 0 for a cold cache, all for a warm one, unless
    /// the file system does otherwise (a tmpfs is always warm).
    pub cached_bytes: u64,
}

/// The sender's own account of a transfer in which every byte arrived: a check on the probes' counts,
/// made without them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the strategy.
    pub strategy: String,
    /// The number of messages sent.
    pub messages: u64,
    /// Bytes of one message.
    pub message_bytes: u64,
    /// Bytes sent, and confirmed to have arrived.
    pub bytes: u64,
    /// blake3 of the payload, in hexadecimal; verified at the far end, where that has the bytes.
    pub hash: String,
    /// System calls made in the window, by name, as the strategy counted them.
    pub calls: BTreeMap<String, u64>,
    /// Calls that read less than asked, each followed by another for the rest.
    pub partial_reads: u64,
    /// Calls that sent less than asked, each followed by another for the rest.
    pub partial_writes: u64,
    /// Calls that a signal interrupted before they did anything, and that were repeated.
    pub interrupted: u64,
    /// Page faults without I/O, in user mode and in kernel mode together (`ru_minflt`).
    pub minor_faults: u64,
    /// Page faults with I/O, in user mode and in kernel mode together (`ru_majflt`).
    pub major_faults: u64,
    /// Times the sender gave up the CPU because it had to wait (`ru_nvcsw`).
    pub voluntary_switches: u64,
    /// Times the scheduler took the CPU away from the sender (`ru_nivcsw`).
    pub involuntary_switches: u64,
    /// Duration of the transfer in nanoseconds, the window's two markers included.
    pub elapsed_ns: u64,
    /// The same until everything had arrived, in nanoseconds: when the window closes, a connection still
    /// has what fits into its buffers under way.
    pub arrived_ns: u64,
    /// CPU time of the sender in the window, in user and kernel mode, in nanoseconds.
    pub cpu_ns: u64,
    /// Bytes of the payload that lay in the page cache before the transfer.
    pub cached_bytes: u64,
    /// Bytes that did not move, because the two files share their blocks on the disk.
    pub shared_bytes: u64,
    /// The kernel's notifications of zero-copy sends, if the strategy made any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_copy: Option<ZeroCopy>,
    /// The method by which the received bytes were checked.
    pub checked_by: CheckedBy,
}

/// A sender's request to a consumer, in the first bytes of a connection. The consumer echoes it when it
/// is ready, so that neither end's set-up falls into the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Receive everything, and answer with count and hash.
    Receive,
    /// The same, over TLS: see [`crate::tls`].
    ReceiveTls,
    /// Send an [`Order`].
    Send,
    /// The same, in whole pages that can be mapped into a receiver.
    SendPages,
    /// Receive datagrams: see [`Mailbox`].
    Datagrams,
}

impl Service {
    /// Bytes of a request on the wire.
    pub const LENGTH: usize = 8;
    const ALL: [Self; 5] =
        [Self::Receive, Self::ReceiveTls, Self::Send, Self::SendPages, Self::Datagrams];

    /// Whether the consumer sends, and needs an [`Order`].
    pub fn sends(self) -> bool {
        matches!(self, Self::Send | Self::SendPages)
    }

    /// Encodes it for the wire.
    pub fn encode(self) -> [u8; Self::LENGTH] {
        match self {
            Self::Receive => *b"ctrc:rcv",
            Self::ReceiveTls => *b"ctrc:tls",
            Self::Send => *b"ctrc:snd",
            Self::SendPages => *b"ctrc:snp",
            Self::Datagrams => *b"ctrc:udp",
        }
    }

    /// Decodes it from the wire; none if it is not a known request.
    pub fn decode(wire: &[u8; Self::LENGTH]) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.encode() == *wire)
    }
}

/// A receiver's order to a consumer that is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The seed of the payload: both ends generate the same.
    pub seed: u64,
    /// The number of messages.
    pub messages: u64,
    /// Bytes of one message.
    pub message_bytes: u64,
}

impl Order {
    /// Bytes of an order on the wire: three numbers in little-endian order.
    pub const LENGTH: usize = 24;

    /// Encodes it for the wire.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut wire = [0; Self::LENGTH];
        let numbers = [self.seed, self.messages, self.message_bytes];
        for (part, number) in wire.chunks_exact_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        wire
    }

    /// Decodes it from the wire.
    pub fn decode(wire: &[u8; Self::LENGTH]) -> Self {
        let number = |index: usize| {
            let mut part = [0; 8];
            part.copy_from_slice(&wire[index * 8..][..8]);
            u64::from_le_bytes(part)
        };
        Self { seed: number(0), messages: number(1), message_bytes: number(2) }
    }
}

/// The message of each end before the datagrams, over the connection: first the sender's, then the
/// consumer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The port of its socket for datagrams, at its address in the connection.
    pub port: u16,
    /// Of the sender: bytes that it will send. Of the consumer: the size of its receive buffer.
    pub bytes: u64,
}

impl Mailbox {
    /// Bytes of a mailbox on the wire: both numbers in little-endian order.
    pub const LENGTH: usize = 10;

    /// Encodes it for the wire.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut wire = [0; Self::LENGTH];
        wire[..2].copy_from_slice(&self.port.to_le_bytes());
        wire[2..].copy_from_slice(&self.bytes.to_le_bytes());
        wire
    }

    /// Decodes it from the wire.
    pub fn decode(wire: &[u8; Self::LENGTH]) -> Self {
        let [low, high, bytes @ ..] = *wire;
        Self { port: u16::from_le_bytes([low, high]), bytes: u64::from_le_bytes(bytes) }
    }
}

/// The consumer's answer after the sender has shut its side: the number of bytes received, and their
/// hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes received.
    pub bytes: u64,
    /// blake3 of them.
    pub hash: blake3::Hash,
}

impl Answer {
    /// Bytes of an answer on the wire: the count in little-endian order, and the hash.
    pub const LENGTH: usize = 8 + blake3::OUT_LEN;

    /// The answer for all bytes of a file.
    pub(crate) fn of_file(mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(Self { bytes: hasher.count(), hash: hasher.finalize() })
    }

    /// Encodes it for the wire.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut wire = [0; Self::LENGTH];
        wire[..8].copy_from_slice(&self.bytes.to_le_bytes());
        wire[8..].copy_from_slice(self.hash.as_bytes());
        wire
    }

    /// Decodes it from the wire.
    pub fn decode(wire: &[u8; Self::LENGTH]) -> Self {
        let (mut bytes, mut hash) = ([0; 8], [0; blake3::OUT_LEN]);
        bytes.copy_from_slice(&wire[..8]);
        hash.copy_from_slice(&wire[8..]);
        Self { bytes: u64::from_le_bytes(bytes), hash: hash.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_order_survives_the_wire(seed: u64, messages: u64, message_bytes: u64) {
            let order = Order { seed, messages, message_bytes };
            prop_assert_eq!(Order::decode(&order.encode()), order);
        }

        #[test]
        fn a_mailbox_survives_the_wire(port: u16, bytes: u64) {
            let mailbox = Mailbox { port, bytes };
            prop_assert_eq!(Mailbox::decode(&mailbox.encode()), mailbox);
        }

        #[test]
        fn an_answer_survives_the_wire(bytes: u64, content: Vec<u8>) {
            let answer = Answer { bytes, hash: blake3::hash(&content) };
            prop_assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }

    #[test]
    fn a_request_survives_the_wire() {
        for service in Service::ALL {
            assert_eq!(Service::decode(&service.encode()), Some(service));
        }
        assert_eq!(Service::decode(b"GET / HT"), None);
    }

    #[test]
    fn events_are_tagged_with_their_name() {
        let event = ConsumerEvent::Listening { addr: ([10, 99, 0, 2], 41234).into(), pid: 123 };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(line, r#"{"event":"listening","addr":"10.99.0.2:41234","pid":123}"#);
        assert_eq!(serde_json::from_str::<ConsumerEvent>(&line).unwrap(), event);
    }
}
