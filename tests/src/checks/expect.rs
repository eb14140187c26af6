//! `--expect`: a broken rule fails a build, and so do unseen bytes and a rule that cannot be judged.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};

use super::nginx::serve;
use crate::check::{Check, Context};
use crate::support::report::{Document, Expectation};
use crate::support::sink::Sink;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal, until};

/// Checks that do not depend on the tier.
pub const CHECKS: [Check; 7] = [
    Check { name: "expect: nginx is zero-copy with sendfile only", run: nginx },
    Check { name: "expect: a command that copies, its recording", run: copying_command },
    Check { name: "expect: unseen bytes are not 0", run: unseen_bytes },
    Check { name: "expect: a failed command keeps its status", run: failed_command },
    Check { name: "expect: a rule that cannot be read", run: unreadable_rule },
    Check { name: "expect: attach, and lines in between", run: attached },
    Check { name: "expect: strategies", run: strategies },
];

/// The exit status for a broken rule.
const BROKEN: i32 = 3;

const ZERO_COPY: &str = "nginx: file -> tcp: cpu <= 0.01";

fn nginx(context: &Context) -> Result<()> {
    for (options, status, copies) in [("sendfile on;", 0, 0.0), ("sendfile off;", BROKEN, 2.0)] {
        let served = serve(context, &["--expect", ZERO_COPY], options, false)?;
        ensure!(served.status.code() == Some(status), "{options}: {}", served.status);
        let [rule] = served.document.expectations.as_slice() else {
            bail!("{options}: {:?}", served.document.expectations)
        };
        rule.check(copies)?;
        ensure!(rule.rule == ZERO_COPY && rule.bytes >= FILE_BYTES, "{options}: {rule:?}");
        ensure!(rule.held == (status == 0), "{options}: {rule:?}");
    }
    Ok(())
}

impl Expectation {
    /// Checks the copies per byte.
    fn check(&self, copies: f64) -> Result<()> {
        let measured = self.measured.with_context(|| format!("it is open: {self:?}"))?;
        ensure!((measured - copies).abs() < 0.01, "{measured}, not {copies}");
        ensure!(self.unseen_bytes == 0, "{} bytes were not seen", self.unseen_bytes);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Checks the exit status and standard error.
fn check(output: &Output, status: i32, words: &[&str]) -> Result<()> {
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(status), "{}: {said}", output.status);
    for words in words {
        ensure!(said.contains(words), "no {words:?} in: {said}");
    }
    Ok(())
}

fn copying_command(context: &Context) -> Result<()> {
    const HOLDS: &str = "dd: file:*/payload -> file:*/copy: copies >= 2";
    const BREAKS: &str = "dd: file -> file: cpu <= 0.01";
    let (folder, file) = folder_with_file()?;
    let place = folder.path();
    let (report, recording, rules) =
        (place.join("report"), place.join("recording"), place.join("rules"));
    std::fs::write(&rules, format!("# Never so.\n\n{BREAKS}\n"))?;
    let (recording, rules) = (recording.display().to_string(), rules.display().to_string());
    let flags = ["--expect", HOLDS, "--expect-file", &rules, "--record", &recording];
    let mut traced = context.trace_with(&flags, &report, Path::new("dd"));
    traced.args(["bs=64k", "status=none"]).arg(format!("if={}", file.display()));
    let output = traced.arg(format!("of={}", place.join("copy").display())).output()?;
    let figures = " 2.00 over 16 MiB: dd: file ";
    check(&output, BROKEN, &["`dd: file -> file: cpu <= 0.01` is broken", figures])?;
    ensure!(!text(&output.stderr).contains(HOLDS), "what holds is said, too");
    let judged = Document::read(&report)?.expectations;
    let held: Vec<_> = judged.iter().map(|it| (it.rule.as_str(), it.held)).collect();
    ensure!(held == [(HOLDS, true), (BREAKS, false)], "{judged:?}");
    let again = |rule: &str| {
        let mut report = Command::new(&context.copytrace);
        report.args(["report", &recording, "--output", "/dev/null", "--expect", rule]).output()
    };
    check(&again(HOLDS)?, 0, &["copytrace: the rule holds"])?;
    check(&again(BREAKS)?, BROKEN, &["is broken", figures])?;
    check(&again("cat: cpu <= 9")?, BROKEN, &["no flow matches; the busiest was dd: file "])
}

/// Whether these bytes were copied was not seen.
fn unseen_bytes(context: &Context) -> Result<()> {
    const RULE: &str = "dd: * -> file: cpu <= 9";
    // On a disk: a file in memory has no way past the page cache.
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let (report, file) = (folder.path().join("report"), folder.path().join("written"));
    let mut traced = context.trace_with(&["--expect", RULE], &report, Path::new("dd"));
    traced.args(["if=/dev/zero", "bs=64k", "count=64", "oflag=direct", "status=none"]);
    let output = traced.arg(format!("of={}", file.display())).output()?;
    check(&output, BROKEN, &["4 MiB of 4 MiB were not seen to move (what devices are given"])?;
    let judged = Document::read(&report)?.expectations;
    let is_open = judged[0].measured.is_none() && judged[0].unseen_bytes == 4 << 20;
    ensure!(is_open, "{judged:?}");
    Ok(())
}

fn failed_command(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut traced =
        context.trace_with(&["--expect", "nobody: cpu == 0"], &report, Path::new("sh"));
    let output = traced.args(["-c", "exit 7"]).output()?;
    check(&output, 7, &["`nobody: cpu == 0` is broken: no flow matches"])
}

/// Nothing is started, and nothing is written.
fn unreadable_rule(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (report, started) = (folder.path().join("report"), folder.path().join("started"));
    let rules = folder.path().join("rules");
    std::fs::write(&rules, "# Two.\ncpu <= 1\ncpu =< 1\n")?;
    let rules = rules.display().to_string();
    let mistakes = [
        (["--expect", "nginx: fil -> tcp: cpu <= 0.01"], "`fil` is no kind"),
        (["--expect-file", &rules], "line 3: `=<` compares nothing"),
        (["--expect-file", "/nowhere"], "cannot read it: No such file"),
    ];
    for (flags, words) in mistakes {
        let mut traced = context.trace_with(&flags, &report, Path::new("touch"));
        let output = traced.arg(&started).output()?;
        check(&output, 2, &["copytrace: invalid value", words])?;
        ensure!(!started.exists() && !report.exists(), "{flags:?}: something was done");
    }
    let mut demo = Command::new(&context.copytrace);
    let output = demo.args(["demo", "--expect", "sendfile: file -> tcp: cpu == 0"]).output()?;
    check(&output, 2, &["such as `sendfile: cpu == 0`"])
}

/// Only the last of several reports is judged.
fn attached(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let reports = || {
        let text = std::fs::read_to_string(&report).unwrap_or_default();
        ["\"schema\"", "\"expectations\""].map(|field| text.matches(field).count())
    };
    let mut sink = Sink::start()?;
    let flags = ["--expect", "pipe -> *: cpu < 1", "--interval", "200ms"];
    let mut attach = context.attached(&flags, &report, sink.pid())?;
    sink.give(4 << 20)?;
    until("there is a report in between", || Ok(reports()[0] > 0))?;
    signal(&attach, libc::SIGINT)?;
    let status = attach.wait()?;
    sink.end()?;
    ensure!(status.code() == Some(BROKEN), "attach ended with {status}");
    let [all, judged] = reports();
    ensure!(all > 1 && judged == 1, "{judged} of {all} reports are judged");
    Ok(())
}

fn strategies(context: &Context) -> Result<()> {
    let mut demo = Command::new(&context.copytrace);
    demo.args(["demo", "--to", "loopback", "--tier", context.tier.name(), "--format", "json"]);
    demo.args(["--messages", "8", "--strategy", "sendfile", "--strategy", "read-write"]);
    let output = demo.args(["--expect", "sendfile: cpu == 0"]).output()?;
    check(&output, 0, &["copytrace: the rule holds"])?;
    let output = demo.args(["--expect", "read-*: cpu <= 1"]).output()?;
    check(&output, BROKEN, &["expected cpu <= 1, ", " 2.00 over 512 KiB: read-write", "1 of 2"])?;
    ensure!(text(&output.stdout).contains("\"expectations\""), "the document has no expectations");
    Ok(())
}
