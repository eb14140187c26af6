//! The true transfers.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{Read, Write},
    net::SocketAddr,
    os::fd::AsFd,
    path::Path,
};

use anyhow::{Context, ensure};
use serde::Serialize;

/// One end of a flow, as in a report: its kind and its name.
pub type End = (&'static str, String);

pub fn memory() -> End {
    ("memory", String::new())
}

pub fn file(path: &Path) -> End {
    ("file", path.display().to_string())
}

/// The end with the address `local`.
pub fn connection(local: SocketAddr, remote: SocketAddr) -> End {
    ("tcp", format!("{local} → {remote}"))
}

/// A pipe (`pipe`) or a Unix socket (`unix`), by its inode number.
pub fn numbered(kind: &'static str, fd: impl AsFd) -> anyhow::Result<End> {
    Ok((kind, format!("{kind}:[{}]", rustix::fs::fstat(fd)?.st_ino)))
}

#[derive(Clone, Copy, Default)]
struct Bytes {
    payload: u64,
    late: u64,
}

/// The transfers of one process.
#[derive(Default)]
pub struct Truth {
    flows: BTreeMap<(u32, End, End), Bytes>,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    pid: u32,
    source: &'a End,
    destination: &'a End,
    bytes: u64,
    /// Bytes that the kernel copies later, when they reach a receiver on this machine.
    late: u64,
}

impl Truth {
    /// The current process moved `bytes` bytes.
    pub fn moved(&mut self, source: &End, destination: &End, bytes: u64) {
        self.moved_by(std::process::id(), source, destination, bytes);
    }

    /// Another process moved them.
    pub fn moved_by(&mut self, pid: u32, source: &End, destination: &End, bytes: u64) {
        self.entry(pid, source, destination).payload += bytes;
    }

    /// The current process sent them without a copy; the copy is made when they arrive.
    pub fn sent_by_reference(&mut self, destination: &End, bytes: u64) {
        let entry = self.entry(std::process::id(), &memory(), destination);
        entry.payload += bytes;
        entry.late += bytes;
    }

    /// Writes a line for the check, which is a transfer too: from memory, and not from the part of this
    /// program's file that holds the text.
    pub fn print(&mut self, words: &str) -> anyhow::Result<()> {
        let mut output = std::io::stdout();
        let line = format!("{words}\n").into_bytes();
        self.moved(&memory(), &numbered("pipe", &output)?, line.len() as u64);
        Ok(output.write_all(&line)?)
    }

    fn entry(&mut self, pid: u32, source: &End, destination: &End) -> &mut Bytes {
        self.flows.entry((pid, source.clone(), destination.clone())).or_default()
    }

    pub fn add(&mut self, other: Self) {
        for ((pid, source, destination), bytes) in other.flows {
            let entry = self.entry(pid, &source, &destination);
            entry.payload += bytes.payload;
            entry.late += bytes.late;
        }
    }

    /// Appends the transfers to the log, which processes share.
    pub fn append_to(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for ((pid, source, destination), bytes) in &self.flows {
            let Bytes { payload: bytes, late } = *bytes;
            serde_json::to_writer(
                &mut text,
                &Line { pid: *pid, source, destination, bytes, late },
            )?;
            text.push(b'\n');
        }
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(&text))
            .with_context(|| format!("cannot write the truth to {}", path.display()))
    }
}

/// Memory that is only read into, and memory that is only written from: bytes from the latter have no
/// other source.
pub struct Buffers {
    read: Vec<u8>,
    write: Vec<u8>,
}

impl Buffers {
    pub fn new(size: usize) -> Self {
        Self { read: vec![0; size], write: vec![7; size] }
    }

    pub fn read(&mut self, mut from: impl Read, count: usize) -> anyhow::Result<()> {
        from.read_exact(&mut self.read[..count]).context("cannot read all of it")
    }

    pub fn write(&self, mut to: impl Write, count: usize) -> anyhow::Result<()> {
        to.write_all(&self.write[..count]).context("cannot write all of it")
    }

    /// The memory to write from.
    pub fn to_write(&self, count: usize) -> &[u8] {
        &self.write[..count]
    }

    /// Writes the bytes that were read last.
    pub fn pass_on(&self, mut to: impl Write, count: usize) -> anyhow::Result<()> {
        to.write_all(&self.read[..count]).context("cannot write all of it")
    }
}

/// Runs `work` in a child of this process, and nothing else of this process.
pub fn in_child(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<u32> {
    // SAFETY: no other thread runs that could hold a lock which the child needs.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("cannot fork"),
        0 => {
            let status = work().map_or_else(
                |error| {
                    eprintln!("a child of the soak: {error:#}");
                    1
                },
                |()| 0,
            );
            // SAFETY: ends this process without the exit handlers of the parent.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid as u32),
    }
}

/// Waits for the child; `killed`: it must have ended by SIGKILL.
pub fn wait_for(pid: u32, killed: bool) -> anyhow::Result<()> {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let waited = unsafe { libc::waitpid(pid as i32, &raw mut status, 0) };
    ensure!(waited == pid as i32, "cannot wait for a child");
    let expected = if killed { libc::SIGKILL } else { 0 };
    ensure!(status == expected, "a child ended with status {status}");
    Ok(())
}
