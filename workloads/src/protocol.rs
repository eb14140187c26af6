//! What the processes say to each other: JSON lines from a child to the driver, and the consumer's
//! answer on the wire.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// What the driver writes to the sender's standard input to start the transfer.
pub(crate) const GO: &str = "go";

/// What a consumer says on its standard output, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ConsumerEvent {
    /// It takes connections.
    Listening {
        /// Where it can be reached from.
        addr: SocketAddr,
        /// Its process id.
        pid: u32,
    },
    /// It gives up.
    Error {
        /// Why, in one line.
        what: String,
    },
}

/// What a sender says on its standard output, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum SenderEvent {
    /// Everything is set up, and it waits for `go`.
    Ready(Ready),
    /// The transfer is done, and the consumer confirmed every byte.
    Done(Outcome),
    /// The strategy cannot run here.
    Unsupported {
        /// Why, in one line.
        reason: String,
    },
    /// It gives up.
    Error {
        /// Why, in one line.
        what: String,
    },
}

/// A sender that is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its process id.
    pub pid: u32,
    /// Its end of the connection.
    pub local: SocketAddr,
    /// The consumer's end of the connection.
    pub peer: SocketAddr,
    /// Bytes of the payload that lie in the page cache: 0 for a cold cache, all for a warm one,
    /// unless the file system does otherwise (a tmpfs is always warm).
    pub cached_bytes: u64,
}

/// What the sender itself knows of a transfer that every byte of survived: a check on what the
/// kernel's probes count, and come by without them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the strategy.
    pub strategy: String,
    /// How many messages were sent.
    pub messages: u64,
    /// Bytes of one message.
    pub message_bytes: u64,
    /// Bytes sent, received and confirmed.
    pub bytes: u64,
    /// blake3 of the payload, in hexadecimal: the same at both ends.
    pub hash: String,
    /// System calls made in the window, by name, as the strategy counted them.
    pub calls: BTreeMap<String, u64>,
    /// Calls that read less than they were asked to, and were followed by another for the rest.
    pub partial_reads: u64,
    /// Calls that sent less than they were asked to, and were followed by another for the rest.
    pub partial_writes: u64,
    /// Calls that a signal interrupted before they did anything, and that were made again.
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
    /// Bytes of the payload that lay in the page cache before the transfer.
    pub cached_bytes: u64,
}

/// What a consumer answers when the sender has shut its side: how many bytes came, and their hash.
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

    /// As it goes over the wire.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut wire = [0; Self::LENGTH];
        wire[..8].copy_from_slice(&self.bytes.to_le_bytes());
        wire[8..].copy_from_slice(self.hash.as_bytes());
        wire
    }

    /// As it came over the wire.
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
        fn an_answer_survives_the_wire(bytes: u64, content: Vec<u8>) {
            let answer = Answer { bytes, hash: blake3::hash(&content) };
            prop_assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }

    #[test]
    fn events_are_tagged_with_their_name() {
        let event = ConsumerEvent::Listening { addr: ([10, 99, 0, 2], 41234).into(), pid: 123 };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(line, r#"{"event":"listening","addr":"10.99.0.2:41234","pid":123}"#);
        assert_eq!(serde_json::from_str::<ConsumerEvent>(&line).unwrap(), event);
    }
}
