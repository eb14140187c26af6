//! Apache RocketMQ: a name server and one broker.

use std::path::Path;

use super::{
    ports,
    program::{Plan, Program, Server, Setting},
};

/// The description of Apache RocketMQ.
pub static ROCKETMQ: Program = Program {
    title: "Apache RocketMQ",
    name: "rocketmq",
    flag: "--rocketmq-home",
    jar: "rocketmq-broker-",
    flags,
    plan,
    client: "RocketmqClient",
    sources: &workloads::real::ROCKETMQ,
    services: &[("org.apache.rocketmq.store.ha.HAService", "NoReplicas")],
    settings: &[
        Setting { name: "transferMsgByHeap=true", change: Some((BY_HEAP, "true")) },
        Setting { name: "transferMsgByHeap=false", change: Some((BY_HEAP, "false")) },
    ],
};

/// Whether a message is sent from the heap, or from the mapped log. It may be changed at any time.
const BY_HEAP: &str = "transferMsgByHeap";

const NAME_SERVER: &str = "namesrv.conf";
const BROKER: &str = "broker.conf";

/// The flags of RocketMQ's own scripts; the folder stands in for the user's home.
fn flags(folder: &Path) -> Vec<String> {
    let opened = ["java.nio", "sun.nio.ch", "java.lang"];
    let opened = opened.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    let mut flags = vec![
        format!("-Drocketmq.home.dir={}", folder.display()),
        "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED".to_owned(),
    ];
    flags.extend(opened);
    flags
}

fn plan(folder: &Path) -> anyhow::Result<Plan> {
    // The broker takes the port two below its own as well, for senders in a hurry.
    let [name_server, broker] = ports::free([&[0], &[0, 2]])?;
    let store = folder.join("store");
    let store = store.display();
    let of_name_server = format!(
        "listenPort={name_server}\n\
         bindAddress=127.0.0.1\n"
    );
    let of_broker = format!(
        "brokerClusterName=copytrace\n\
         brokerName=copytrace\n\
         brokerId=0\n\
         brokerIP1=127.0.0.1\n\
         bindAddress=127.0.0.1\n\
         listenPort={broker}\n\
         namesrvAddr=127.0.0.1:{name_server}\n\
         storePathRootDir={store}\n\
         storePathCommitLog={store}/commitlog\n\
         mappedFileSizeCommitLog=67108864\n\
         autoCreateTopicEnable=false\n"
    );
    Ok(Plan {
        files: vec![(NAME_SERVER, of_name_server), (BROKER, of_broker)],
        servers: vec![
            Server {
                class: "org.apache.rocketmq.namesrv.NamesrvStartup",
                arguments: vec!["-c", NAME_SERVER],
                port: Some(name_server),
            },
            Server {
                class: "org.apache.rocketmq.broker.BrokerStartup",
                arguments: vec!["-c", BROKER],
                port: Some(broker),
            },
        ],
        port: name_server,
    })
}
