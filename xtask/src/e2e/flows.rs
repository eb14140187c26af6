//! Programs of others, traced as a whole: what they do is known, so the report must say it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use super::Context;
use super::expected::COPY_TOLERANCE;
use crate::command;

/// Bytes of the file that is read and served.
const FILE_BYTES: u64 = 16 << 20;

/// How long a server may take to start or to end, under emulation and with all probes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `copytrace run --format json` prints, as far as the checks look at it.
#[derive(Debug, Deserialize)]
struct Document {
    schema: String,
    lost_events: u64,
    total: Total,
    flows: Vec<Flow>,
}

#[derive(Debug, Deserialize)]
struct Total {
    payload_bytes: u64,
    cpu_copied_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Flow {
    source: End,
    destination: End,
    payload_bytes: u64,
    copies_per_byte: Copies,
    provenance: String,
    verdict: Verdict,
    movements: Vec<Movement>,
}

#[derive(Debug, Deserialize)]
struct End {
    kind: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Copies {
    cpu: f64,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    code: String,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Movement {
    by: String,
    bytes: u64,
}

impl Document {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let document: Self = serde_json::from_str(&text).context("the report is no JSON")?;
        ensure!(document.schema == "copytrace/flows/1", "schema {}", document.schema);
        ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
        document.balances()?;
        Ok(document)
    }

    /// The rows are no more than the whole.
    fn balances(&self) -> Result<()> {
        let payload: u64 = self.flows.iter().map(|flow| flow.payload_bytes).sum();
        ensure!(payload == self.total.payload_bytes, "{payload} of {}", self.total.payload_bytes);
        let cpu: u64 = self
            .flows
            .iter()
            .flat_map(|flow| &flow.movements)
            .filter(|movement| movement.by == "cpu")
            .map(|movement| movement.bytes)
            .sum();
        ensure!(cpu <= self.total.cpu_copied_bytes, "{cpu} of {}", self.total.cpu_copied_bytes);
        Ok(())
    }

    /// The flow between these kinds whose ends' names contain these words.
    fn flow(&self, source: (&str, &str), destination: (&str, &str)) -> Result<&Flow> {
        let is =
            |end: &End, (kind, name): (&str, &str)| end.kind == kind && end.name.contains(name);
        let found = self
            .flows
            .iter()
            .find(|flow| is(&flow.source, source) && is(&flow.destination, destination));
        found.with_context(|| {
            let known = self.flows.iter().map(|flow| {
                let (from, to) = (&flow.source, &flow.destination);
                format!("{} {} → {} {}", from.kind, from.name, to.kind, to.name)
            });
            let known: Vec<_> = known.collect();
            format!("no flow {source:?} → {destination:?} in:\n{}", known.join("\n"))
        })
    }
}

impl Flow {
    fn check(&self, context: &Context, payload: u64, cpu: f64, verdict: &str) -> Result<()> {
        let off = self.payload_bytes.abs_diff(payload) as f64 / payload as f64;
        ensure!(off < COPY_TOLERANCE, "{} payload bytes, not {payload}", self.payload_bytes);
        let copies = self.copies_per_byte.cpu;
        ensure!((copies - cpu).abs() < COPY_TOLERANCE, "{copies} CPU copies a byte, not {cpu}");
        ensure!(self.verdict.code == verdict, "{}: {}", self.verdict.code, self.verdict.text);
        let provenance =
            if context.tier == super::Tier::Tracepoint { "derived" } else { "measured" };
        ensure!(self.provenance == provenance, "it is {}", self.provenance);
        Ok(())
    }
}

impl Context {
    /// `copytrace run`, with a report in `report`.
    fn trace(&self, report: &Path, program: &Path) -> Command {
        self.trace_with(&[], report, program)
    }

    /// The same with more flags.
    fn trace_with(&self, flags: &[&str], report: &Path, program: &Path) -> Command {
        let mut command = Command::new(&self.copytrace);
        command.args(["run", "--quiet", "--format", "json", "--tier", self.tier.name()]);
        command.args(flags).arg("--output").arg(report).arg("--").arg(program);
        command.stdin(Stdio::null());
        command
    }
}

/// A folder on a disk, with a file of random bytes.
fn folder_with_file() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let file = folder.path().join("payload");
    let mut random = std::fs::File::open("/dev/urandom")?.take(FILE_BYTES);
    std::io::copy(&mut random, &mut std::fs::File::create(&file)?)?;
    Ok((folder, file))
}

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

pub fn nginx_with_sendfile(context: &Context) -> Result<()> {
    let document = serve(context, "sendfile on;", false)?;
    let flow = document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 0.0, "zero-copy")
}

pub fn nginx_without_sendfile(context: &Context) -> Result<()> {
    let document = serve(context, "sendfile off;", false)?;
    let flow = document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    document.flow(("memory", ""), ("file", "access.log")).map(drop)
}

pub fn nginx_with_tls(context: &Context) -> Result<()> {
    let document = serve(context, "sendfile on;", true)?;
    let flow = document.flow(("memory", ""), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 1.0, "fell-back-tls")?;
    ensure!(flow.verdict.text.contains("TLS in user space"), "{}", flow.verdict.text);
    let read = document.flow(("file", "payload"), ("memory", ""))?;
    read.check(context, FILE_BYTES, 1.0, "copied-to-memory")
}

/// Has nginx serve the file once.
fn serve(context: &Context, options: &str, tls: bool) -> Result<Document> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    let report = place.join("report");
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
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
    Document::read(&report)
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

/// Waits for the server, and has curl fetch the file.
fn fetch(place: &Path, address: SocketAddr, tls: bool, server: &mut Child) -> Result<()> {
    let since = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = server.try_wait()? {
            let mut said = String::new();
            server.stderr.take().context("no pipe")?.read_to_string(&mut said)?;
            bail!("nginx ended ({status}): {said}");
        }
        ensure!(since.elapsed() < PATIENCE, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(200));
    }
    let scheme = if tls { "https" } else { "http" };
    let received = place.join("received");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--fail", "--output"]).arg(&received);
    command::run(curl.arg(format!("{scheme}://{address}/payload")))?;
    let same = std::fs::read(&received)? == std::fs::read(place.join("payload"))?;
    ensure!(same, "curl received another file");
    Ok(())
}

/// Asks copytrace to end, which passes it on to nginx, and waits.
fn end(server: &mut Child) -> Result<()> {
    // SAFETY: kill only sends a signal, to a child that has not been waited for.
    unsafe { libc::kill(i32::try_from(server.id())?, libc::SIGTERM) };
    let since = Instant::now();
    while server.try_wait()?.is_none() {
        if since.elapsed() > PATIENCE {
            server.kill()?;
            server.wait()?;
            bail!("nginx did not end");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A program that is attached to goes on as if nothing was.
pub fn attached(context: &Context) -> Result<()> {
    let (folder, _) = folder_with_file()?;
    let report = folder.path().join("report");
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut pipe = cat.stdin.take().context("no pipe")?;
    let mut attach = Command::new(&context.copytrace);
    attach.args(["attach", "--quiet", "--format", "json", "--tier", context.tier.name()]);
    attach.args(["--pid", &cat.id().to_string(), "--output"]).arg(&report);
    let mut attach = attach.spawn()?;
    // Until everything is attached, then some of it in the middle.
    std::thread::sleep(PATIENCE / 6);
    let block = vec![7; 1 << 20];
    for _ in 0..4 {
        pipe.write_all(&block)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    // SAFETY: as in `end`.
    unsafe { libc::kill(i32::try_from(attach.id())?, libc::SIGINT) };
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
