//! Copies inside a Java virtual machine: a program that says what it copies, and how often.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use xtask::command;

use crate::check::{Check, Context, Skipped};
use crate::support::report::{Document, agrees};
use crate::support::traced::signal;

/// What breakpoints see of it, and what is said where they see nothing.
pub const CHECKS: [Check; 3] = [
    Check { name: "Java: copies inside the virtual machine, by thread", run: counted },
    Check { name: "Java: copies that are not counted are told", run: not_asked },
    Check { name: "Java: no virtual machine, no copies inside one", run: refused },
];

/// What it copies, each on a thread of its own: the way, how often, and so many bytes.
const WORK: [(&str, u64, u64); 5] = [
    ("put", 300, 1 << 20),
    ("get", 200, 256 << 10),
    ("unsafe", 20_000, 4 << 10),
    ("put", 50_000, 100),
    // By another stub, and by no function at all.
    ("array", 300, 1 << 20),
];
const NOT_SEEN: &str = "array";

/// The program; it runs until this is dropped.
struct Program {
    java: Child,
    stdin: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// It is ready to copy when this returns, and its compilers are at rest.
    fn start(folder: &Path) -> Result<Self> {
        let source = folder.join("Copies.java");
        std::fs::write(&source, include_str!("Copies.java"))?;
        let mut command = Command::new(java()?);
        // It would write to /tmp.
        command.arg("-XX:-UsePerfData").arg(source);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut java = command.spawn().context("cannot start Java")?;
        let stdin = java.stdin.take();
        let stdout = java.stdout.take().context("no pipe")?;
        let mut program = Self { java, stdin, said: BufReader::new(stdout).lines() };
        program.says("ready")?;
        Ok(program)
    }

    fn says(&mut self, expected: &str) -> Result<()> {
        let said = self.said.next().context("the program has ended")??;
        ensure!(said == expected, "the program said {said}");
        Ok(())
    }

    fn copy(&mut self, (way, copies, bytes): (&str, u64, u64)) -> Result<()> {
        let stdin = self.stdin.as_mut().context("no pipe")?;
        writeln!(stdin, "{way} {copies} {bytes}")?;
        self.says("done")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends when there is nothing more to do.
        drop(self.stdin.take());
        let _ = self.java.wait();
    }
}

/// Java with its compiler, in `JAVA_HOME` or on `PATH`.
fn java() -> Result<PathBuf> {
    let found = match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(Path::new(&home).join("bin/java")),
        None => command::find("javac").and_then(|_| command::find("java")),
    };
    let missing = || Skipped("there is no javac: install a JDK, 17 or newer".to_owned());
    Ok(found.ok_or_else(missing)?)
}

/// What `attach` reports of all the work.
fn traced(context: &Context, flags: &[&str]) -> Result<Document> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let report = folder.path().join("report");
    let mut program = Program::start(folder.path())?;
    let mut attach = context.attached(flags, &report, program.java.id())?;
    for work in WORK {
        program.copy(work)?;
    }
    signal(&attach, libc::SIGINT)?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    Document::read(&report)
}

fn counted(context: &Context) -> Result<()> {
    let document = traced(context, &["--jvm-copies", "--per", "thread"])?;
    let seen = || WORK.iter().filter(|(way, ..)| *way != NOT_SEEN);
    let own = document.jvm_copies.iter().filter(|row| row.process.comm == "copier");
    let (bytes, calls) = own.fold((0, 0), |sum, row| (sum.0 + row.bytes, sum.1 + row.calls));
    agrees("copied", bytes, seen().map(|(_, copies, bytes)| copies * bytes).sum())?;
    agrees("copies", calls, seen().map(|(_, copies, _)| copies).sum())?;
    let all: u64 = document.jvm_copies.iter().map(|row| row.bytes).sum();
    ensure!(document.total.cpu_copied_bytes >= all, "the total is without {all} bytes");
    document.has_warning("jvm-seen-in-part")
}

fn not_asked(context: &Context) -> Result<()> {
    let document = traced(context, &[])?;
    ensure!(document.jvm_copies.is_empty(), "copies were counted");
    document.has_warning("jvm-not-seen")
}

fn refused(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let report = folder.path().join("report");
    let attached = context.attached(&["--jvm-copies"], &report, std::process::id());
    let error = attached.err().context("it has attached")?.to_string();
    ensure!(error.contains("no traced process was seen to run Java's HotSpot"), "{error}");
    Ok(())
}
