//! Two servers in Python: one copies a file through its memory (`shutil.copyfileobj`, with buffers of
//! 64 KiB), the other passes it on (`os.sendfile`).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::report::{Document, End, agrees};
use crate::support::traced::{
    FILE_BYTES, Io, child_of, end, folder_with_file, free_address, of_connection, wait_until,
};
use xtask::setup::foreign;

/// Two ways to serve a file.
pub const CHECKS: [Check; 2] = [
    Check { name: "Python’s http.server: two copies; /proc/PID/io", run: http_server },
    Check { name: "Python’s socket.sendfile: zero-copy; ss", run: sendfile },
];

/// Starts Python under copytrace, in a folder.
fn start(context: &Context, folder: &Path, arguments: &[&str]) -> Result<Child> {
    let python = context.foreign(&foreign::PYTHON)?;
    let report = folder.join("report");
    let mut traced = context.trace_with(context.verify(), &report, &python.program);
    python.set_library_path(&mut traced);
    traced.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(traced.spawn()?)
}

/// Connects as soon as the server listens.
fn connect(server: &mut Child, address: SocketAddr) -> Result<TcpStream> {
    let mut stream = None;
    wait_until("Python listens", server, || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    })?;
    stream.context("no connection")
}

/// Bytes moved by sockets' own calls are in neither `rchar` nor `wchar`.
fn no_socket(end: &End) -> bool {
    end.kind != "tcp"
}

fn http_server(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    let address = free_address()?;
    let port = address.port().to_string();
    let arguments = ["-m", "http.server", &port, "--bind", "127.0.0.1"];
    let mut server = start(context, folder.path(), &arguments)?;
    let result = (|| {
        let mut stream = connect(&mut server, address)?;
        write!(stream, "GET /payload HTTP/1.0\r\n\r\n")?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        ensure!(received.ends_with(&std::fs::read(&file)?), "another file was received");
        Io::of(child_of(server.id()).context("Python has ended")?)
    })();
    end(&mut server)?;
    let io = result?;
    let document = Document::read(&folder.path().join("report"))?;
    let flow = document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    agrees("what was read, and rchar", document.read_bytes(no_socket), io.read)?;
    if context.verify().is_empty() { Ok(()) } else { document.check_verified(2 * FILE_BYTES) }
}

/// It sends the file to each client, and waits until the client closes.
const SENDFILE: &str = "
import socket, sys
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    with open('payload', 'rb') as file:
        connection.sendfile(file)
    connection.recv(1)
";

fn sendfile(context: &Context) -> Result<()> {
    let ss = context.foreign(&foreign::SS)?;
    let (folder, file) = folder_with_file()?;
    let address = free_address()?;
    let port = address.port().to_string();
    let mut server = start(context, folder.path(), &["-c", SENDFILE, &port])?;
    let result = (|| {
        let mut stream = connect(&mut server, address)?;
        let mut received = vec![0; FILE_BYTES as usize];
        stream.read_exact(&mut received)?;
        ensure!(received == std::fs::read(&file)?, "another file was received");
        let sent = of_connection(&mut ss.command(), address, "bytes_sent:")?;
        anyhow::Ok((sent, Io::of(child_of(server.id()).context("Python has ended")?)?))
    })();
    end(&mut server)?;
    let (sent, io) = result?;
    let document = Document::read(&folder.path().join("report"))?;
    let flow = document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 0.0, "zero-copy")?;
    agrees("what was sent, and ss", flow.payload_bytes, sent)?;
    agrees("what was read, and rchar", document.read_bytes(|_| true), io.read)?;
    agrees("what was written, and wchar", document.written_bytes(|_| true), io.written)
}
