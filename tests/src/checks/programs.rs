//! Programs that copy files, and one that receives: the kernel's own account of their reads and writes
//! must agree with the flows.
//!
//! The number of copies follows from their source and the kernel's: `cp` calls `copy_file_range`, which
//! on ext4 reads pages and writes them into the other file's (`generic_perform_write`); a pipe, a unix
//! socket and a TCP connection copy on both sides; a buffer of the program costs a copy in and a copy
//! out.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::report::{Document, agrees};
use crate::support::traced::{FILE_BYTES, Io, folder_with_file};
use xtask::command;
use xtask::setup::foreign::{self, Found};

/// Programs for which other tools have accounts.
pub const CHECKS: [Check; 4] = [
    Check { name: "rsync: through a socket; /proc/PID/io", run: rsync },
    Check { name: "cat | wc: two copies and one; /proc/PID/io", run: cat_and_wc },
    Check { name: "curl: receives with one copy", run: curl },
    Check { name: "cp: one copy in the kernel; /proc/PID/io", run: cp },
];

/// Has a shell run a command, and print the account of its own reads and writes and its children's.
fn traced(
    context: &Context,
    folder: &Path,
    program: Option<&Found>,
    script: &str,
) -> Result<(Document, Io)> {
    let report = folder.join("report");
    let mut traced = context.trace_with(context.verify(), &report, Path::new("sh"));
    if let Some(program) = program {
        program.set_library_path(&mut traced);
    }
    traced.arg("-c").arg(format!("{script}; cat /proc/$$/io")).current_dir(folder);
    let said = command::run(&mut traced)?;
    Ok((Document::read(&report)?, Io::parse(&String::from_utf8_lossy(&said.stdout))?))
}

/// The kernel's account agrees, and hardware breakpoints saw the expected copies.
fn accounts_agree(context: &Context, document: &Document, io: Io, copied: u64) -> Result<()> {
    agrees("what was read, and rchar", document.read_bytes(|_| true), io.read)?;
    agrees("what was written, and wchar", document.written_bytes(|_| true), io.written)?;
    if !context.verify().is_empty() {
        document.check_verified(copied)?;
    }
    Ok(())
}

fn cp(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let (document, io) = traced(context, folder.path(), None, "cp payload copied")?;
    let same = std::fs::read(file)? == std::fs::read(folder.path().join("copied"))?;
    ensure!(same, "the copy is another file");
    let flow = document.flow(("file", "payload"), ("file", "copied"))?;
    flow.check(context, FILE_BYTES, 1.0, "copied-in-kernel")?;
    accounts_agree(context, &document, io, FILE_BYTES)
}

fn cat_and_wc(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let (document, io) = traced(context, folder.path(), None, "cat payload | wc -c")?;
    let written = document.flow(("file", "payload"), ("pipe", ""))?;
    written.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    let read = document.flow(("pipe", ""), ("memory", ""))?;
    read.check(context, FILE_BYTES, 1.0, "copied-to-memory")?;
    accounts_agree(context, &document, io, 3 * FILE_BYTES)
}

/// One process reads and sends, another receives and writes; copies between their own buffers do not
/// count.
fn rsync(context: &Context) -> Result<()> {
    let rsync = context.foreign(&foreign::RSYNC)?;
    let (folder, file) = folder_with_file()?;
    let script = format!("{} payload copied", rsync.program.display());
    let (document, io) = traced(context, folder.path(), Some(&rsync), &script)?;
    let same = std::fs::read(file)? == std::fs::read(folder.path().join("copied"))?;
    ensure!(same, "the copy is another file");
    // rsync writes under a temporary name until the file is complete.
    let ways = [
        (("file", "/payload"), ("memory", ""), "copied-to-memory"),
        (("memory", ""), ("unix", ""), "copied-from-memory"),
        (("unix", ""), ("memory", ""), "copied-to-memory"),
        (("memory", ""), ("file", "/.copied."), "copied-from-memory"),
    ];
    for (source, destination, verdict) in ways {
        let flow = document.flow(source, destination)?;
        flow.check_payload(FILE_BYTES, 1.0)?;
        ensure!(flow.verdict.code == verdict, "{}: {}", flow.verdict.code, flow.verdict.text);
    }
    accounts_agree(context, &document, io, 4 * FILE_BYTES)
}

/// The bytes that curl keeps in the buffer of its output have a flow of their own, into its memory.
fn curl(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let report = folder.path().join("report");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let content = std::fs::read(file)?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        // The whole request of curl: it sends nothing else.
        let _ = stream.read(&mut [0; 4096])?;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())?;
        stream.write_all(&content)
    });
    let mut curl = context.trace_with(context.verify(), &report, Path::new("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--output", "/dev/null"]);
    command::run(curl.arg(format!("http://{address}/")))?;
    server.join().ok().context("the server ended")??;
    let document = Document::read(&report)?;
    let received: Vec<_> = document.flows.iter().filter(|flow| flow.source.kind == "tcp").collect();
    for flow in &received {
        ensure!(flow.side == "receiver", "{} of {}", flow.side, flow.destination.kind);
        flow.check_payload(flow.payload_bytes, 1.0)?;
    }
    agrees("curl", received.iter().map(|flow| flow.payload_bytes).sum(), FILE_BYTES)?;
    if context.verify().is_empty() { Ok(()) } else { document.check_verified(FILE_BYTES) }
}
