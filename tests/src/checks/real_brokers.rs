//! Apache Kafka and Apache RocketMQ, run by `copytrace brokers --real`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use xtask::command;

use crate::check::{Check, Context, Skipped};
use crate::processes;
use crate::support::document::nearly;
use crate::support::traced::{signal, wait_until};

/// The copies of both programs, and that they end.
pub const CHECKS: [Check; 2] = [
    Check { name: "Kafka and RocketMQ themselves: copies of a sent byte", run: copies },
    Check { name: "Kafka and RocketMQ themselves: Ctrl-C leaves nothing", run: interrupted },
];

/// What must be found: the setting, the kernel's CPU copies and moves by reference of each byte that the broker
/// sends, the copies inside its virtual machine, and the verdict on most of them.
const EXPECTED: [(&str, &str, f64, f64, f64, &str); 3] = [
    ("kafka", "plaintext", 0.0, 1.0, 0.0, "zero-copy"),
    ("rocketmq", "transferMsgByHeap=true", 1.0, 0.0, 2.0, "copied-from-memory"),
    ("rocketmq", "transferMsgByHeap=false", 1.0, 0.0, 0.0, "copied-from-mapping"),
];

/// What a broker copies in its own memory besides messages, a sent byte: headers, and its housekeeping.
const BESIDES: f64 = 0.1;

/// So many that what clients and brokers say besides is little.
const MESSAGES: u64 = 16_384;

#[derive(Deserialize)]
struct Document {
    lost_events: u64,
    programs: Vec<Program>,
}

#[derive(Deserialize)]
struct Program {
    program: String,
    setting: String,
    messages: u64,
    log_bytes: u64,
    sent_bytes: u64,
    copies_per_byte: Copies,
    jvm_copies_per_byte: f64,
    by_reference_per_byte: Option<f64>,
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Copies {
    cpu: Option<f64>,
}

#[derive(Deserialize)]
struct Flow {
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    code: String,
}

/// The command, with one round of small messages, in a folder of its own.
fn brokers(context: &Context, folder: &Path) -> Result<Command> {
    let flags = context.brokers.as_ref().map_err(|reason| Skipped(reason.clone()))?;
    if std::env::var_os("JAVA_HOME").is_none() && command::find("javac").is_none() {
        return Err(Skipped("there is no javac: install a JDK, 17 or newer".to_owned()).into());
    }
    let mut brokers = Command::new(&context.copytrace);
    brokers.args(["brokers", "--real", "--quick", "--rounds", "1", "--format", "json"]);
    brokers.args(["--tier", context.tier.name(), "--messages", &MESSAGES.to_string()]);
    brokers.arg("--dir").arg(folder).args(flags);
    Ok(brokers)
}

fn copies(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let text = command::stdout(brokers(context, folder.path())?.arg("--jvm-copies"))?;
    let document: Document = serde_json::from_str(&text).context("stdout is not the document")?;
    ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
    for (program, setting, copies, references, inside, verdict) in EXPECTED {
        let mut rows = document.programs.iter();
        let row = rows.find(|row| row.program == program && row.setting == setting);
        let row = row.with_context(|| format!("{program}, {setting} is missing"))?;
        let name = format!("{program}, {setting}");
        ensure!(row.messages == MESSAGES, "{name}: {} messages", row.messages);
        ensure!(row.sent_bytes >= row.log_bytes, "{name}: {} bytes sent", row.sent_bytes);
        let seen = |number: Option<f64>| number.with_context(|| format!("{name}: unseen bytes"));
        nearly(&name, "CPU copies of a sent byte", seen(row.copies_per_byte.cpu)?, copies)?;
        nearly(&name, "sent by reference", seen(row.by_reference_per_byte)?, references)?;
        let besides = row.jvm_copies_per_byte - inside;
        ensure!(besides.abs() < BESIDES, "{name}: {} in the JVM", row.jvm_copies_per_byte);
        let code = row.flows.first().map_or("nothing", |flow| flow.verdict.code.as_str());
        ensure!(code == verdict, "{name}: the verdict is {code}");
    }
    nothing_is_left(folder.path())
}

fn interrupted(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let mut command = brokers(context, folder.path())?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut copytrace: Child = command.spawn()?;
    // Its log exists, and it has just started, or not yet.
    let is_started = || {
        let folders = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
        folders.into_iter().any(|of| of.path().join("kafka.Kafka.log").exists())
    };
    wait_until("Kafka is started", &mut copytrace, is_started)?;
    signal(&copytrace, libc::SIGINT)?;
    let status = copytrace.wait()?;
    ensure!(status.code() == Some(128 + libc::SIGINT), "copytrace ended with {status}");
    let left = processes::descendants();
    ensure!(left.is_empty(), "these run on:\n{}", processes::describe(&left));
    nothing_is_left(folder.path())
}

fn nothing_is_left(folder: &Path) -> Result<()> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<Result<Vec<_>>>()?;
    ensure!(names.is_empty(), "files were left behind: {names:?}");
    Ok(())
}
