//! The three kinds of broker: they differ in how messages get from the log to a consumer.

use crate::{Error, Result};

/// A kind of broker.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Messages go out with `sendfile`; the broker never sees what is in them
    Kafka,
    /// The log is mapped, and messages go out of the mapping with `writev`
    Rocketmq,
    /// As RocketMQ ships (`transferMsgByHeap`): as rocketmq, with a copy to the heap first
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

    /// Refuses what this flavour cannot do.
    pub fn require(self, feature: Feature) -> Result<()> {
        match self.sees_content() {
            true => Ok(()),
            false => Err(Error::NeedsContent { flavour: self.name(), what: feature.what() }),
        }
    }
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 3] = [Self::TagFilter, Self::Transaction, Self::Redelivery];

    /// What the broker would have to do.
    pub fn what(self) -> &'static str {
        match self {
            Self::TagFilter => "choose messages by their tag",
            Self::Transaction => "hold messages of a transaction back and append them on commit",
            Self::Redelivery => "append a failed message again or move it to the dead-letter log",
        }
    }
}
