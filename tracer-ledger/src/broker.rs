//! The brokers that the textbook compares, in words that their reports share with the models of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of broker: they differ in how messages get from the log to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Messages are sent with `sendfile`; the broker never reads their content
    Kafka,
    /// The log is mapped, and messages are sent from the mapping with `writev`
    Rocketmq,
    /// RocketMQ's default (`transferMsgByHeap`): as rocketmq, with a copy to the heap first
    RocketmqHeap,
}

/// Something a broker can only do if it sees the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A consumer gets the messages of one tag only.
    TagFilter,
    /// A message becomes visible on commit, and vanishes on rollback.
    Transaction,
    /// A message that a consumer failed with comes again, and at last goes to the dead-letter log.
    Redelivery,
}

/// A broker's answer to a request for a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did what was asked.
    Works,
    /// It did not, and said why.
    Refused(String),
    /// It did something else.
    Fails(String),
}

/// The messages that survived when a broker was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Survival {
    /// The number of times it was killed with SIGKILL, producers running.
    pub kills: u64,
    /// Messages that had been acknowledged until the last time.
    pub acknowledged: u64,
    /// Those of them that no consumer got afterwards.
    pub lost: u64,
    /// Transactions that were never committed.
    pub uncommitted: u64,
    /// Those of them whose message a consumer got.
    pub leaked: u64,
    /// Torn records that were cut off at start-up.
    pub torn: u64,
}

impl Flavour {
    /// Every flavour, that with the fewest copies first.
    pub const ALL: [Self; 3] = [Self::Kafka, Self::Rocketmq, Self::RocketmqHeap];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Rocketmq => "rocketmq",
            Self::RocketmqHeap => "rocketmq-heap",
        }
    }

    /// Whether the broker sees the messages that it hands out.
    pub fn sees_content(self) -> bool {
        self != Self::Kafka
    }
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 3] = [Self::TagFilter, Self::Transaction, Self::Redelivery];

    /// The work that the broker would have to do.
    pub fn what(self) -> &'static str {
        match self {
            Self::TagFilter => "choose messages by their tag",
            Self::Transaction => "hold messages of a transaction back and append them on commit",
            Self::Redelivery => "append a failed message again or move it to the dead-letter log",
        }
    }
}
