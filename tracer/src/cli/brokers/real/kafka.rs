//! Apache Kafka: one node, plaintext.

use std::path::Path;

use super::{
    ports,
    program::{Plan, Program, Server, Setting},
};

/// The description of Apache Kafka.
pub static KAFKA: Program = Program {
    title: "Apache Kafka",
    name: "kafka",
    flag: "--kafka-home",
    jar: "kafka-clients-",
    flags: |_| Vec::new(),
    plan,
    client: "KafkaClient",
    sources: &workloads::real::KAFKA,
    services: &[],
    settings: &[Setting { name: "plaintext", change: None }],
};

const FILE: &str = "server.properties";

/// Any 16 bytes, as Kafka writes them: the name of a cluster of one.
const CLUSTER: &str = "copytraceAAAAAAAAAAAAA";

fn plan(folder: &Path) -> anyhow::Result<Plan> {
    let [port, controller] = ports::free([&[0], &[0]])?;
    let data = folder.join("data");
    let data = data.display();
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         group.initial.rebalance.delay.ms=0\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n"
    );
    let format = Server {
        class: "kafka.tools.StorageTool",
        arguments: vec!["format", "-t", CLUSTER, "-c", FILE],
        port: None,
    };
    let broker = Server { class: "kafka.Kafka", arguments: vec![FILE], port: Some(port) };
    Ok(Plan { files: vec![(FILE, text)], servers: vec![format, broker], port })
}
