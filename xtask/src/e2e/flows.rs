//! Programs of others, traced as a whole: what they do is known, so the report must say it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Context;
use super::report::Document;
use super::traced::{FILE_BYTES, end, folder_with_file, free_address, signal, wait_until};
use crate::command;

/// A program that reads and writes.
pub fn copy_with_dd(context: &Context) -> Result<()> {
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

/// Many processes that live for a moment: every byte of every one is counted, for the right file.
pub fn short_lived_processes(context: &Context) -> Result<()> {
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

/// A way that the catalogue does not know: it shows up by the caller's name, if all of the kernel
/// is searched.
pub fn unknown_way(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let copies = |flags: &[&str]| -> Result<f64> {
        let mut traced = context.trace_with(flags, &report, Path::new("dd"));
        traced.args(["if=/dev/urandom", "of=/dev/null", "bs=64k", "count=4"]);
        command::run(&mut traced)?;
        let document = Document::read(&report)?;
        let flow = document.flow(("other", "/dev/urandom"), ("other", "/dev/null"))?;
        ensure!(flow.payload_bytes == 4 << 16, "{} bytes", flow.payload_bytes);
        Ok(flow.copies_per_byte.cpu)
    };
    let (known, all) = (copies(&[])?, copies(&["--all-copy-sites"])?);
    ensure!(known == 0.0 && all == 1.0, "{known} copies a byte, and {all} with all copy sites");
    Ok(())
}

/// A pipeline: children are traced, and each end of the pipe is a flow of its own.
pub fn pipeline(context: &Context) -> Result<()> {
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

/// Bytes of another file that is served after the first.
const SMALL_BYTES: usize = 3000;

/// What nginx did, and what it wrote into its log.
struct Served {
    document: Document,
    log_bytes: u64,
}

impl Served {
    /// The log is a flow of its own, to the byte.
    fn check_log(&self) -> Result<()> {
        let log = self.document.flow(("memory", ""), ("file", "/access.log"))?;
        ensure!(log.payload_bytes == self.log_bytes, "{} bytes of log", log.payload_bytes);
        Ok(())
    }
}

pub fn nginx_with_sendfile(context: &Context) -> Result<()> {
    let served = serve(context, "sendfile on;", false)?;
    let flow = served.document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 0.0, "zero-copy")?;
    let small = served.document.flow(("file", "/small"), ("tcp", ""))?;
    small.check(context, SMALL_BYTES as u64, 0.0, "zero-copy")?;
    served.check_log()
}

pub fn nginx_without_sendfile(context: &Context) -> Result<()> {
    let served = serve(context, "sendfile off;", false)?;
    let flow = served.document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    // The head of the answer goes out with it, in one call.
    let small = served.document.flow(("file", "/small"), ("tcp", ""))?.payload_bytes;
    ensure!((SMALL_BYTES..SMALL_BYTES + 512).contains(&(small as usize)), "{small} bytes");
    served.check_log()
}

pub fn nginx_with_tls(context: &Context) -> Result<()> {
    let Served { document, .. } = serve(context, "sendfile on;", true)?;
    let flow = document.flow(("memory", ""), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 1.0, "fell-back-tls")?;
    ensure!(flow.verdict.text.contains("TLS in user space"), "{}", flow.verdict.text);
    let read = document.flow(("file", "payload"), ("memory", ""))?;
    read.check(context, FILE_BYTES, 1.0, "copied-to-memory")
}

/// Has nginx serve both files once.
fn serve(context: &Context, options: &str, tls: bool) -> Result<Served> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    std::fs::write(place.join("small"), [7; SMALL_BYTES])?;
    let report = place.join("report");
    let address = free_address()?;
    if tls {
        certificate(place)?;
    }
    std::fs::write(place.join("nginx.conf"), configuration(place, address, options, tls))?;
    let root = context.nginx.as_deref().context("the checks were started without --nginx")?;
    let mut traced = context.trace(&report, &root.join("usr/sbin/nginx"));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|folder| root.join(folder).display().to_string());
    traced.env("LD_LIBRARY_PATH", libraries.join(":"));
    traced.arg("-c").arg(place.join("nginx.conf")).arg("-p").arg(place);
    let mut server = traced.stderr(Stdio::piped()).spawn()?;
    let fetched = fetch(place, address, tls, &mut server);
    end(&mut server)?;
    fetched?;
    let log_bytes = place.join("access.log").metadata()?.len();
    Ok(Served { document: Document::read(&report)?, log_bytes })
}

fn configuration(place: &Path, address: SocketAddr, options: &str, tls: bool) -> String {
    let place = place.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {place}/{what};"))
        .join(" ");
    let tls = if tls {
        format!("ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;")
    } else {
        String::new()
    };
    let ssl = if tls.is_empty() { "" } else { "ssl" };
    format!(
        "daemon off; worker_processes 1; user root; pid {place}/pid; error_log {place}/error.log;
         events {{ worker_connections 64; }}
         http {{ access_log {place}/access.log; {options} {temporary}
                 server {{ listen {address} {ssl}; root {place}; {tls} }} }}\n"
    )
}

fn certificate(place: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]);
    openssl.arg("-keyout").arg(place.join("key.pem")).arg("-out").arg(place.join("cert.pem"));
    command::run(&mut openssl).map(drop)
}

/// Waits for the server, and has curl fetch both files.
fn fetch(place: &Path, address: SocketAddr, tls: bool, server: &mut Child) -> Result<()> {
    wait_until("nginx listens", server, || TcpStream::connect(address).is_ok())?;
    let scheme = if tls { "https" } else { "http" };
    for name in ["payload", "small"] {
        let received = place.join("received");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--fail", "--output"]).arg(&received);
        command::run(curl.arg(format!("{scheme}://{address}/{name}")))?;
        let same = std::fs::read(&received)? == std::fs::read(place.join(name))?;
        ensure!(same, "curl received another file");
    }
    Ok(())
}

/// A program that is attached to goes on as if nothing was.
pub fn attached(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let report = folder.path().join("report");
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut pipe = cat.stdin.take().context("no pipe")?;
    let mut attach = context.attached(&[], &report, cat.id())?;
    let block = vec![7; 1 << 20];
    for _ in 0..4 {
        pipe.write_all(&block)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    signal(&attach, libc::SIGINT)?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    pipe.write_all(&block)?;
    drop(pipe);
    let status = cat.wait()?;
    ensure!(status.success(), "the program ended with {status}");
    let document = Document::read(&report)?;
    ensure!(document.total.payload_bytes >= 4 << 20, "{} bytes", document.total.payload_bytes);
    document.flow(("pipe", ""), ("other", "/dev/null")).map(drop)
}
