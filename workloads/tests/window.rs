//! The window holds the strategy's own system calls and nothing else, as strace sees it.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic, also in its helpers")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

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

/// Names of the system calls between the two markers.
fn traced(strategy: &str, dir: &Path) -> Vec<String> {
    let consumer = Consumer::start();
    let trace = dir.join(strategy);
    let status = Command::new("strace")
        .arg("-o")
        .arg(&trace)
        .args([EXE, "send", "--strategy", strategy, "--to", &consumer.addr, "--messages", "3"])
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let trace = fs::read_to_string(trace).unwrap();
    let marker = |line: &&str| line.starts_with("prctl(0x63747263");
    assert_eq!(trace.lines().filter(marker).count(), 2, "{trace}");
    let window = trace.lines().skip_while(|line| !marker(line)).skip(1);
    let window = window.take_while(|line| !marker(line));
    window.map(|line| line.split('(').next().unwrap().to_owned()).collect()
}

#[test]
fn the_window_holds_the_strategys_calls_and_no_other() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no strace to count with");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let pair = ["read", "write"];
    assert_eq!(traced("read-write", dir.path()), [pair, pair, pair].concat());
    assert_eq!(traced("mmap-write", dir.path()), ["mmap", "write", "write", "write"]);
    assert_eq!(traced("sendfile", dir.path()), ["sendfile", "sendfile", "sendfile"]);
}
