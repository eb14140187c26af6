//! Ways that no witness covers: their bytes are reported as unseen, with the reason, and get no verdict.
//! The expected values come from the kernel's sources, and from the programs themselves.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xtask::{command, setup::foreign};

use crate::check::{Check, Context, Tier};
use crate::support::report::{Document, Flow};

/// Unusual ways.
pub const CHECKS: [Check; 4] = [
    Check { name: "unseen: a file of /proc", run: proc_file },
    Check { name: "unseen: written past the page cache", run: direct_write },
    Check { name: "unseen: MPTCP copies what sendfile sends", run: mptcp },
    Check { name: "unseen: datagrams in batches; both ends of vmsplice", run: calls },
];

/// No verdict depends on it.
fn is_open(flow: &Flow, code: &str, at: &str) -> Result<()> {
    let found = flow.unseen.iter().find(|unseen| unseen.at == at);
    let found = found.with_context(|| format!("nothing is unseen at the {at}"))?;
    ensure!(found.reason.code == code, "{}: {}", found.reason.code, found.reason.text);
    ensure!(found.bytes == flow.payload_bytes, "{} of {}", found.bytes, flow.payload_bytes);
    ensure!(flow.copies_per_byte.cpu.is_none(), "{:?}", flow.copies_per_byte);
    ensure!(flow.verdict.code == "unseen", "{}", flow.verdict.text);
    Ok(())
}

/// Every byte that is read is copied once, by `seq_read_iter`.
fn proc_file(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut traced = context.trace_with(context.verify(), &report, Path::new("cat"));
    let bytes = command::run(traced.arg("/proc/kallsyms"))?.stdout.len() as u64;
    let document = Document::read(&report)?;
    // The bytes are written on, into the pipe that this program reads.
    let flow = document.flow(("file", "/proc/kallsyms"), ("pipe", ""))?;
    ensure!(flow.payload_bytes == bytes, "{} of {bytes} bytes", flow.payload_bytes);
    if context.tier == Tier::Tracepoint {
        return flow.check_payload(bytes, 2.0);
    }
    is_open(flow, "file-system", "source")?;
    ensure!(document.total.unseen_bytes >= bytes, "{} unseen", document.total.unseen_bytes);
    if context.verify().is_empty() {
        return Ok(());
    }
    let routine = document.warnings.iter().find(|it| it.routine == "_copy_to_iter");
    let routine = routine.with_context(|| format!("no routine in {:?}", document.warnings))?;
    ensure!(routine.bytes >= bytes, "{}", routine.text);
    Ok(())
}

fn direct_write(context: &Context) -> Result<()> {
    const BYTES: u64 = 4 << 20;
    // On a disk: a file in memory has no way past the page cache.
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let (report, file) = (folder.path().join("report"), folder.path().join("written"));
    let mut traced = context.trace(&report, Path::new("dd"));
    traced.args(["if=/dev/zero", "bs=64k", "count=64", "oflag=direct", "status=none"]);
    command::run(traced.arg(format!("of={}", file.display())))?;
    let document = Document::read(&report)?;
    let flow = document.flow(("other", "/dev/zero"), ("file", "written"))?;
    ensure!(flow.payload_bytes == BYTES, "{} bytes", flow.payload_bytes);
    is_open(flow, "direct-io", "destination")?;
    ensure!(flow.copies_per_byte.dma.is_none(), "{:?}", flow.copies_per_byte);
    Ok(())
}

/// Sends a file to itself, over the protocol that is its argument.
const SEND_TO_ITSELF: &str = "
import os, socket, sys, threading
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, int(sys.argv[1]))
server.bind(('127.0.0.1', 0))
server.listen()
def receive():
    connection, _ = server.accept()
    while connection.recv(1 << 16):
        pass
thread = threading.Thread(target=receive)
thread.start()
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, int(sys.argv[1]))
client.connect(server.getsockname())
file = os.open('payload', os.O_RDONLY)
while os.sendfile(client.fileno(), file, None, 1 << 16):
    pass
client.close()
thread.join()
";

/// The kernel copies all bytes sent to such a socket, whatever the call (`mptcp_sendmsg` →
/// `copy_page_from_iter`).
fn mptcp(context: &Context) -> Result<()> {
    let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled").unwrap_or_default();
    ensure!(enabled.trim() == "1", "this kernel has no MPTCP");
    const BYTES: u64 = 1 << 20;
    let sent = |protocol: &str| -> Result<Document> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("payload"), vec![7; BYTES as usize])?;
        let arguments = ["-ISc", SEND_TO_ITSELF, protocol];
        python(context, folder.path(), &arguments)
    };
    let (tcp, mptcp) = (sent("6")?, sent("262")?);
    let plain = tcp.flow(("file", "payload"), ("tcp", ""))?;
    plain.check_payload(BYTES, 0.0)?;
    ensure!(plain.verdict.code == "zero-copy", "{}", plain.verdict.text);
    let copied = mptcp.flow(("file", "payload"), ("tcp", ""))?;
    ensure!(copied.payload_bytes == BYTES, "{} bytes", copied.payload_bytes);
    is_open(copied, "protocol", "destination")
}

/// Sends 2 datagrams by one call, and receives them by another; puts its memory into a pipe, and reads
/// the pipe.
const CALLS: &str = "
import ctypes, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('vectors', ctypes.c_void_p),
                ('count', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t),
                ('flags', ctypes.c_long), ('length', ctypes.c_long)]
memory = mmap.mmap(-1, 65536)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
vector = Vector(base, 1200)
messages = (Message * 2)(*[Message(vectors=ctypes.addressof(vector), count=1) for _ in range(2)])
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
assert libc.sendmmsg(a.fileno(), messages, 2, 0) == 2
assert libc.recvmmsg(b.fileno(), messages, 2, 0, None) == 2
r, w = os.pipe()
vector.length = 65536
assert libc.vmsplice(w, ctypes.byref(vector), 1, 0) == 65536
assert libc.vmsplice(r, ctypes.byref(vector), 1, 0) == 65536
";

fn calls(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let document = python(context, folder.path(), &["-ISc", CALLS])?;
    let said = document
        .warnings
        .iter()
        .any(|it| it.text.contains("1 call of recvmmsg() and 1 call of sendmmsg()"));
    ensure!(said, "{:?}", document.warnings);
    let given = document.flow(("memory", ""), ("pipe", ""))?;
    given.check_payload(65_536, 0.0)?;
    ensure!(given.verdict.code == "zero-copy", "{}", given.verdict.text);
    let taken = document.flow(("pipe", ""), ("memory", ""))?;
    match context.tier {
        Tier::Tracepoint => taken.check_payload(65_536, 1.0),
        _ => is_open(taken, "unknown", "source"),
    }
}

/// The document of a program in Python.
fn python(context: &Context, folder: &Path, arguments: &[&str]) -> Result<Document> {
    let python = context.foreign(&foreign::PYTHON)?;
    let report = folder.join("report");
    let mut traced = context.trace(&report, &python.program);
    python.set_library_path(&mut traced);
    command::run(traced.args(arguments).current_dir(folder))?;
    Document::read(&report)
}
