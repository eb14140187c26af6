//! nginx, which sends files in three ways.

use std::process::{ExitStatus, Stdio};

use anyhow::{Result, ensure};

use crate::check::{Check, Context};
use crate::support::nginx::{self, Site};
use crate::support::report::Document;
use crate::support::traced::{FILE_BYTES, end, folder_with_file, free_address};

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
    let site = Site { folder: folder.path(), address: free_address()?, options, tls };
    std::fs::write(site.folder.join("small"), [7; SMALL_BYTES])?;
    site.prepare()?;
    let report = site.folder.join("report");
    let mut traced = context.trace_with(flags, &report, &nginx::program(context));
    site.add_arguments(context, &mut traced);
    let mut server = traced.stderr(Stdio::piped()).spawn()?;
    let fetched = site.fetch(&["payload", "small"], &mut server);
    end(&mut server)?;
    let status = server.wait()?;
    fetched?;
    let log_bytes = site.folder.join("access.log").metadata()?.len();
    Ok(Served { document: Document::read(&report)?, status, log_bytes })
}
