//! Java sources of the clients of Apache Kafka and Apache RocketMQ, which `copytrace brokers --real`
//! compiles against the programs' jars.

/// A Java source file.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its file name, which is that of its class.
    pub name: &'static str,
    /// Its content.
    pub text: &'static str,
}

const MESSAGES: Source =
    Source { name: "Messages.java", text: include_str!("../real/Messages.java") };

/// Kafka's client.
pub static KAFKA: [Source; 2] = [
    MESSAGES,
    Source { name: "KafkaClient.java", text: include_str!("../real/kafka/KafkaClient.java") },
];

/// RocketMQ's client, and a class that keeps its broker on the given addresses.
pub static ROCKETMQ: [Source; 3] = [
    MESSAGES,
    Source {
        name: "RocketmqClient.java",
        text: include_str!("../real/rocketmq/RocketmqClient.java"),
    },
    Source { name: "NoReplicas.java", text: include_str!("../real/rocketmq/NoReplicas.java") },
];
