//! nginx, which sends files in three ways.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Result, ensure};
use xtask::command;

use crate::check::{Check, Context};
use crate::support::report::Document;
use crate::support::traced::{FILE_BYTES, end, folder_with_file, free_address, wait_until};

/// In every tier.
pub const CHECKS: [Check; 3] = [
    Check { name: "nginx, TLS: fell back", run: nginx_with_tls },
    Check { name: "nginx, sendfile off: two copies", run: nginx_without_sendfile },
    Check { name: "nginx, sendfile on: zero-copy", run: nginx_with_sendfile },
];

/// Bytes of the second file that is served.
const SMALL_BYTES: usize = 3000;

/// The flows of nginx, and the log that it wrote.
pub(super) struct Served {
    pub(super) document: Document,
    /// The exit status of copytrace.
    pub(super) status: ExitStatus,
    log_bytes: u64,
}

impl Served {
    /// The log has its own flow, to the byte.
    fn check_log(&self) -> Result<()> {
        let log = self.document.flow(("memory", ""), ("file", "/access.log"))?;
        ensure!(log.payload_bytes == self.log_bytes, "{} bytes of log", log.payload_bytes);
        Ok(())
    }
}

fn nginx_with_sendfile(context: &Context) -> Result<()> {
    let served = serve(context, &[], "sendfile on;", false)?;
    let flow = served.document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 0.0, "zero-copy")?;
    let small = served.document.flow(("file", "/small"), ("tcp", ""))?;
    small.check(context, SMALL_BYTES as u64, 0.0, "zero-copy")?;
    served.check_log()
}

fn nginx_without_sendfile(context: &Context) -> Result<()> {
    let served = serve(context, &[], "sendfile off;", false)?;
    let flow = served.document.flow(("file", "payload"), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 2.0, "copied-through-memory")?;
    // The header of the answer is sent with it, in one call.
    let small = served.document.flow(("file", "/small"), ("tcp", ""))?.payload_bytes;
    ensure!((SMALL_BYTES..SMALL_BYTES + 512).contains(&(small as usize)), "{small} bytes");
    served.check_log()
}

fn nginx_with_tls(context: &Context) -> Result<()> {
    let Served { document, .. } = serve(context, &[], "sendfile on;", true)?;
    let flow = document.flow(("memory", ""), ("tcp", ""))?;
    flow.check(context, FILE_BYTES, 1.0, "fell-back-tls")?;
    ensure!(flow.verdict.text.contains("TLS in user space"), "{}", flow.verdict.text);
    let read = document.flow(("file", "payload"), ("memory", ""))?;
    read.check(context, FILE_BYTES, 1.0, "copied-to-memory")
}

/// Has nginx serve both files once.
pub(super) fn serve(context: &Context, flags: &[&str], options: &str, tls: bool) -> Result<Served> {
    let (folder, _) = folder_with_file()?;
    let place = folder.path();
    std::fs::write(place.join("small"), [7; SMALL_BYTES])?;
    let report = place.join("report");
    let address = free_address()?;
    if tls {
        certificate(place)?;
    }
    std::fs::write(place.join("nginx.conf"), configuration(place, address, options, tls))?;
    let root = &context.nginx;
    let mut traced = context.trace_with(flags, &report, &root.join("usr/sbin/nginx"));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|folder| root.join(folder).display().to_string());
    traced.env("LD_LIBRARY_PATH", libraries.join(":"));
    traced.arg("-c").arg(place.join("nginx.conf")).arg("-p").arg(place);
    let mut server = traced.stderr(Stdio::piped()).spawn()?;
    let fetched = fetch(place, address, tls, &mut server);
    end(&mut server)?;
    let status = server.wait()?;
    fetched?;
    let log_bytes = place.join("access.log").metadata()?.len();
    Ok(Served { document: Document::read(&report)?, status, log_bytes })
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

/// Waits for the server, and fetches both files with curl.
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
