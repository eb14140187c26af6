//! The window holds the strategy's own system calls and nothing else, as strace sees it.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic, also in its helpers")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use workloads::{Outcome, STRATEGIES};

const EXE: &str = env!("CARGO_BIN_EXE_workloads");

/// A consumer that ends with the test.
struct Consumer {
    child: Child,
    addr: String,
}

impl Consumer {
    fn start() -> Self {
        let mut child = Command::new(EXE)
            .args(["consume", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, addr }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A transfer under strace.
struct Traced {
    /// The system calls between the two markers.
    calls: Vec<String>,
    /// The strategy's own account of them.
    outcome: Outcome,
}

/// None, with a note, where the strategy cannot run here.
fn traced(strategy: &str, dir: &Path) -> Option<Traced> {
    let consumer = Consumer::start();
    let trace = dir.join(strategy);
    let output = Command::new("strace")
        .arg("-o")
        .arg(&trace)
        .args([EXE, "send", "--strategy", strategy, "--to", &consumer.addr, "--messages", "3"])
        .arg("--dir")
        .arg(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("not possible here") {
        eprintln!("skipped: {strategy}: {said}");
        return None;
    }
    assert!(output.status.success(), "{said}");
    let trace = fs::read_to_string(trace).unwrap();
    let marker = |line: &&str| line.starts_with("prctl(0x63747263");
    assert_eq!(trace.lines().filter(marker).count(), 2, "{trace}");
    let window = trace.lines().skip_while(|line| !marker(line)).skip(1);
    let window = window.take_while(|line| !marker(line));
    let calls = window.map(|line| line.split('(').next().unwrap().to_owned()).collect();
    Some(Traced { calls, outcome: serde_json::from_slice(&output.stdout).unwrap() })
}

fn strace_is_there() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: there is no strace to count with");
    }
    there
}

#[test]
fn the_window_holds_the_strategys_calls_and_no_other() {
    if !strace_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let calls = |strategy| traced(strategy, dir.path()).unwrap().calls;
    let pair = ["read", "write"];
    assert_eq!(calls("read-write"), [pair, pair, pair].concat());
    assert_eq!(calls("mmap-write"), ["mmap", "write", "write", "write"]);
    assert_eq!(calls("sendfile"), ["sendfile", "sendfile", "sendfile"]);
}

#[test]
fn every_strategy_counts_its_calls_as_strace_does() {
    if !strace_is_there() {
        return;
    }
    // Beside the program, which is more likely to be on a disk than /tmp.
    let dir = tempfile::tempdir_in(Path::new(EXE).parent().unwrap()).unwrap();
    for strategy in STRATEGIES.iter() {
        let Some(traced) = traced(strategy.name, dir.path()) else { continue };
        let mut seen = BTreeMap::new();
        for call in traced.calls {
            *seen.entry(call).or_insert(0) += 1;
        }
        assert_eq!(traced.outcome.calls, seen, "{}", strategy.name);
    }
}
