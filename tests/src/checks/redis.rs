//! Redis: a client's request is read into memory once, and the answer is written from memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::report::{Document, agrees};
use crate::support::traced::{Io, child_of, end, free_address, of_connection, wait_until};
use xtask::setup::foreign::{self, Found};

/// Both directions of one connection.
pub const CHECKS: [Check; 1] =
    [Check { name: "Redis: one copy each way; ss and /proc/PID/io", run: sets_and_gets }];

/// Large enough for a call to cost more in copying than in switching.
const VALUE_BYTES: usize = 64 << 10;
const VALUES: usize = 64;

/// The accounts of a client, and of tools other than copytrace, for a connection.
struct Known {
    sent: u64,
    received: u64,
    io: Io,
}

fn sets_and_gets(context: &Context) -> Result<()> {
    let redis = context.foreign(&foreign::REDIS)?;
    let ss = context.foreign(&foreign::SS)?;
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let address = free_address()?;
    let mut traced = context.trace_with(context.verify(), &report, &redis.program);
    redis.set_library_path(&mut traced);
    traced.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""]);
    traced.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = traced.spawn()?;
    let known = exchange(&mut server, address, &ss);
    end(&mut server)?;
    let known = known?;
    let document = Document::read(&report)?;
    let sets = document.flow(("tcp", ""), ("memory", ""))?;
    sets.check_payload(known.sent, 1.0)?;
    ensure!(sets.verdict.code == "copied-to-memory", "{}", sets.verdict.text);
    let gets = document.flow(("memory", ""), ("tcp", ""))?;
    gets.check(context, known.received, 1.0, "copied-from-memory")?;
    // Redis reads from sockets and writes to them as with files.
    agrees("what was read, and rchar", document.read_bytes(|_| true), known.io.read)?;
    agrees("what was written, and wchar", document.written_bytes(|_| true), known.io.written)?;
    let copied = known.sent + known.received;
    if context.verify().is_empty() { Ok(()) } else { document.check_verified(copied) }
}

/// Sets and gets values, and asks other tools for the bytes sent, while the connection lasts.
fn exchange(server: &mut Child, address: SocketAddr, ss: &Found) -> Result<Known> {
    let mut stream = None;
    wait_until("Redis listens", server, || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    })?;
    let stream = stream.context("no connection")?;
    let value = vec![b'v'; VALUE_BYTES];
    for key in 0..VALUES {
        set(&stream, key, &value)?;
    }
    for key in 0..VALUES {
        ensure!(get(&stream, key)? == value, "{key} has another value");
    }
    let sent = of_connection(&mut ss.command(), address, "bytes_received:")?;
    let received = of_connection(&mut ss.command(), address, "bytes_sent:")?;
    let least = (VALUES * VALUE_BYTES) as u64;
    ensure!(sent > least && received > least, "ss: {sent} and {received} bytes");
    Ok(Known { sent, received, io: Io::of(child_of(server.id()).context("Redis has ended")?)? })
}

fn set(mut stream: &TcpStream, key: usize, value: &[u8]) -> Result<()> {
    let mut request =
        format!("*3\r\n$3\r\nSET\r\n$5\r\n{key:05}\r\n${}\r\n", value.len()).into_bytes();
    request.extend([value, b"\r\n"].concat());
    stream.write_all(&request)?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"+OK\r\n", "SET: {:?}", String::from_utf8_lossy(&answer));
    Ok(())
}

fn get(mut stream: &TcpStream, key: usize) -> Result<Vec<u8>> {
    write!(stream, "*2\r\n$3\r\nGET\r\n$5\r\n{key:05}\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut header = String::new();
    answer.read_line(&mut header)?;
    let length = header.strip_prefix('$').and_then(|rest| rest.trim_end().parse().ok());
    let mut value = vec![0; length.with_context(|| format!("GET: {header:?}"))?];
    answer.read_exact(&mut value)?;
    answer.read_exact(&mut [0; 2])?;
    Ok(value)
}
