//! A program's own client, in its own virtual machine, which reads orders, one per line.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::java::JavaProcess;

/// The time limit of an order. The client itself gives up earlier if nothing comes.
const LIMIT: Duration = Duration::from_secs(600);

/// Partitions of a topic, or queues.
pub const PARTITIONS: u64 = 4;

/// Messages of one size.
pub struct Messages {
    /// Their topic, which contains nothing else.
    pub topic: String,
    /// The number of messages.
    pub count: u64,
    /// Bytes of each.
    pub bytes: u64,
}

/// The result of a client, which checks every message.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Done {
    /// The number of messages.
    pub messages: u64,
    /// Their bytes in the broker's log.
    pub log_bytes: u64,
    /// The time it took.
    pub seconds: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Error { error: String },
    Done(Done),
}

/// The client, killed when this is dropped.
pub struct Client {
    process: JavaProcess,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Starts it.
    pub fn start(class: &'static str, command: Command, folder: &Path) -> anyhow::Result<Self> {
        let (stdin, stdout) = (Stdio::piped(), Some(Stdio::piped()));
        let mut process = JavaProcess::start((class, class), command, folder, stdin, stdout)?;
        let stdin = process.child.stdin.take().context("there is no pipe to the client")?;
        let stdout = process.child.stdout.take().context("there is no pipe from the client")?;
        Ok(Self { process, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Makes the topic of some messages.
    pub async fn create(&mut self, messages: &Messages) -> anyhow::Result<()> {
        self.ask(&format!("topic {} {PARTITIONS}", messages.topic)).await.map(drop)
    }

    /// Sends all of them.
    pub async fn produce(&mut self, messages: &Messages) -> anyhow::Result<Done> {
        let Messages { topic, count, bytes } = messages;
        self.ask(&format!("produce {topic} {count} {bytes}")).await
    }

    /// Receives all of them, by a new consumer group.
    pub async fn consume(&mut self, messages: &Messages) -> anyhow::Result<Done> {
        let Messages { topic, count, bytes } = messages;
        self.ask(&format!("consume {topic} {count} {bytes}")).await
    }

    /// Changes a setting of the broker.
    pub async fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        self.ask(&format!("set {name} {value}")).await.map(drop)
    }

    async fn ask(&mut self, line: &str) -> anyhow::Result<Done> {
        // If it is gone, the error to report is its end.
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
        let answer = timeout(LIMIT, self.lines.next_line()).await;
        let what = || format!("the client was told to `{line}`");
        let Ok(answer) = answer else {
            bail!("{}, and did not within {} s:\n{}", what(), LIMIT.as_secs(), self.process.said());
        };
        let Some(answer) = answer.with_context(what)? else {
            return self
                .process
                .succeeds()
                .await
                .and_then(|()| bail!("it ended"))
                .with_context(what);
        };
        match serde_json::from_str(&answer).with_context(|| format!("{}: {answer}", what()))? {
            Answer::Done(done) => Ok(done),
            Answer::Error { error } => bail!("{}: {error}", what()),
        }
    }
}
