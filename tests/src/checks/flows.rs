//! Other programs, traced as a whole: their transfers are known, and the report must have them.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::check::{Check, Context};
use crate::support::report::Document;
use crate::support::sink::Sink;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal};
use xtask::{command, setup::foreign};

/// Any program, in every tier.
pub const CHECKS: [Check; 4] = [
    Check { name: "1500 small files by sendfile: the first row", run: small_files },
    Check { name: "attached in the middle", run: attached },
    Check { name: "a pipeline: children are traced", run: pipeline },
    Check { name: "dd: two copies per byte", run: copy_with_dd },
];

/// A check with many of them.
pub const PROCESSES: [Check; 1] =
    [Check { name: "processes of a moment: no byte lost", run: short_lived_processes }];

/// For kernels where functions can be probed.
pub const ALL_SITES: [Check; 1] =
    [Check { name: "all copy sites: a way nobody thought of", run: unknown_way }];

/// A program that reads and writes.
fn copy_with_dd(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let (report, copy) = (folder.path().join("report"), folder.path().join("copy"));
    let mut traced = context.trace(&report, Path::new("dd"));
    traced.args(["bs=64k", "status=none"]);
    traced.arg(format!("if={}", file.display())).arg(format!("of={}", copy.display()));
    command::run(&mut traced)?;
    ensure!(std::fs::read(&file)? == std::fs::read(&copy)?, "the copy is another file");
    let document = Document::read(&report)?;
    let flow = document.flow(("file", "payload"), ("file", "copy"))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")
}

/// Sends files of a folder `w` to itself, each with a header of 200 bytes, on one connection.
const SENDS_FILES: &str = "
import os, socket, threading
listener = socket.create_server(('127.0.0.1', 0))
def drain():
    with socket.create_connection(listener.getsockname()) as receiver:
        while receiver.recv(1 << 16): pass
thread = threading.Thread(target=drain); thread.start(); sender, _ = listener.accept()
for name in os.listdir('w'):
    file = os.open('w/' + name, os.O_RDONLY)
    sender.sendall(b'h' * 200)
    if os.sendfile(sender.fileno(), file, 0, 8192) != 8192: raise SystemExit('sent a part')
    os.close(file)
sender.close(); thread.join()
";

/// Each is a small part of the whole: folded into one row, they are the first one, and not left out.
fn small_files(context: &Context) -> Result<()> {
    const FILES: u64 = 1500;
    const BYTES: u64 = 8192;
    let python = context.foreign(&foreign::PYTHON)?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let served = folder.path().join("w");
    std::fs::create_dir(&served)?;
    for number in 0..FILES {
        std::fs::write(served.join(number.to_string()), [7; BYTES as usize])?;
    }
    let (report, recording) = (folder.path().join("report"), folder.path().join("recording"));
    let flags = ["--record", &recording.display().to_string()];
    let mut traced = context.trace_with(&flags, &report, &python.program);
    python.set_library_path(&mut traced);
    command::run(traced.args(["-ISc", SENDS_FILES]).current_dir(folder.path()))?;

    let document = Document::read(&report)?;
    let is_file = |name: &str| Path::new(name).parent() == Some(&served);
    let files = document
        .flows
        .iter()
        .filter(|flow| is_file(&flow.source.name) && flow.destination.kind == "tcp");
    let files: Vec<_> = files.collect();
    ensure!(files.len() as u64 == FILES, "{} files in the document", files.len());
    files.iter().try_for_each(|flow| flow.check(context, BYTES, 0.0, "zero-copy"))?;
    let heads = document.flow(("memory", ""), ("tcp", ""))?;
    heads.check(context, FILES * 200, 1.0, "copied-from-memory")?;

    let table = command::stdout(Command::new(&context.copytrace).arg("report").arg(&recording))?;
    let mut rows = table.lines().skip_while(|line| !line.trim_start().starts_with('─')).skip(1);
    let is_first = |row: &str| row.contains("1 500 files") && row.contains("11.7 MiB");
    let (first, below) = (rows.next().is_some_and(is_first), rows.next().map(str::trim));
    ensure!(first && below == Some("zero-copy"), "the files are not the first row:\n{table}");
    Ok(())
}

/// Many short-lived processes: every byte of every one is counted, for the right file.
fn short_lived_processes(context: &Context) -> Result<()> {
    const FILES: u64 = 7;
    let rounds = if context.quick { 10 } else { 60 };
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let report = folder.path().join("report");
    for number in 0..FILES {
        let content = vec![7; 1000 + 777 * number as usize];
        std::fs::write(folder.path().join(format!("short-{number}")), content)?;
    }
    let script = format!(
        "round=0; while [ $round -lt {rounds} ]; do round=$((round + 1)); \
         for file in {}/short-*; do cat $file > /dev/null & done; wait; done",
        folder.path().display()
    );
    command::run(context.trace(&report, Path::new("sh")).args(["-c", &script]))?;
    let document = Document::read(&report)?;
    for number in 0..FILES {
        let flow = document.flow(("file", &format!("short-{number}")), ("other", "/dev/null"))?;
        let expected = rounds * (1000 + 777 * number);
        ensure!(
            flow.payload_bytes == expected,
            "short-{number}: {} bytes, not {expected}",
            flow.payload_bytes
        );
    }
    Ok(())
}

/// A way that is missing from the catalogue is reported as unseen; with a search of the whole kernel, the
/// caller's name shows up.
fn unknown_way(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let copies = |flags: &[&str]| -> Result<Option<f64>> {
        let mut traced = context.trace_with(flags, &report, Path::new("dd"));
        traced.args(["if=/dev/urandom", "of=/dev/null", "bs=64k", "count=4"]);
        command::run(&mut traced)?;
        let document = Document::read(&report)?;
        let flow = document.flow(("other", "/dev/urandom"), ("other", "/dev/null"))?;
        ensure!(flow.payload_bytes == 4 << 16, "{} bytes", flow.payload_bytes);
        Ok(flow.copies_per_byte.cpu)
    };
    let (known, all) = (copies(&[])?, copies(&["--all-copy-sites"])?);
    let is_right = known.is_none() && all == Some(1.0);
    ensure!(is_right, "{known:?} copies per byte, and {all:?} with all copy sites");
    Ok(())
}

/// A pipeline: children are traced, and each end of the pipe has its own flow.
fn pipeline(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let report = folder.path().join("report");
    let mut traced = context.trace(&report, Path::new("sh"));
    traced.arg("-c").arg(format!("cat {} | tail -c 1; exit 3", file.display()));
    let output = traced.output()?;
    ensure!(output.status.code() == Some(3), "the command’s status became {}", output.status);
    ensure!(output.stdout.len() == 1, "the command’s output became {:?}", output.stdout);
    let document = Document::read(&report)?;
    let written = document.flow(("file", "payload"), ("pipe", ""))?;
    written.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    let read = document.flow(("pipe", ""), ("memory", ""))?;
    read.check(context, FILE_BYTES, 1.0, "copied-to-memory")
}

/// A program runs on undisturbed while it is attached to.
fn attached(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut sink = Sink::start()?;
    let mut attach = context.attached(&[], &report, sink.pid())?;
    sink.give(4 << 20)?;
    signal(&attach, libc::SIGINT)?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    sink.give(1 << 20)?;
    sink.end()?;
    let document = Document::read(&report)?;
    ensure!(document.total.payload_bytes >= 4 << 20, "{} bytes", document.total.payload_bytes);
    document.flow(("pipe", ""), ("other", "/dev/null")).map(drop)
}
