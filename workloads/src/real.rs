//! What drives the own clients of Apache Kafka and Apache RocketMQ: Java sources, which
//! `copytrace brokers --real` compiles against the programs' jars.

/// A file of Java.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name, which is that of its class.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
}

const MESSAGES: Source =
    Source { name: "Messages.java", text: include_str!("../real/Messages.java") };

/// Kafka's client.
pub static KAFKA: [Source; 2] = [
    MESSAGES,
    Source { name: "KafkaClient.java", text: include_str!("../real/kafka/KafkaClient.java") },
];

/// RocketMQ's client, and what keeps its broker on the addresses that it is told.
pub static ROCKETMQ: [Source; 3] = [
    MESSAGES,
    Source {
        name: "RocketmqClient.java",
        text: include_str!("../real/rocketmq/RocketmqClient.java"),
    },
    Source { name: "NoReplicas.java", text: include_str!("../real/rocketmq/NoReplicas.java") },
];
