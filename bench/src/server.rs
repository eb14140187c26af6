//! The server: nginx, on loopback.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::process::{Running, read, wait_until};
use super::situation::Situation;
use super::tools::Program;

/// The time it may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that serves one file.
pub struct Server {
    /// First, so that it ends before its folder is removed.
    running: Running,
    folder: TempDir,
    address: SocketAddr,
    workers: Vec<u32>,
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start(nginx: &Program, situation: Situation, workers: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path();
        let mut content = std::fs::File::open("/dev/urandom")?.take(situation.file_bytes());
        std::io::copy(&mut content, &mut std::fs::File::create(place.join("file"))?)?;
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = configuration(place, address, situation, workers);
        std::fs::write(place.join("nginx.conf"), configuration)?;
        let mut command = nginx.command();
        command.arg("-c").arg(place.join("nginx.conf")).arg("-p").arg(place);
        let mut running = Running::start(command, "nginx", place)?;
        wait_until("nginx to listen", PATIENCE, || {
            ensure!(!running.has_ended()?, "nginx ended: {}", running.said());
            Ok(TcpStream::connect(address).is_ok())
        })?;
        let master = running.pid();
        let mut children = Vec::new();
        wait_until("nginx’s workers", PATIENCE, || {
            children = children_of(master)?;
            Ok(children.len() == workers as usize)
        })?;
        Ok(Self { running, folder, address, workers: children })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the file.
    pub fn url(&self) -> String {
        format!("http://{}/file", self.address)
    }

    /// The master and its workers.
    pub fn pids(&self) -> Vec<u32> {
        std::iter::once(self.running.pid()).chain(self.workers.iter().copied()).collect()
    }

    /// Whether no worker has died and been replaced since the start.
    pub fn check(&self) -> Result<()> {
        let now = children_of(self.running.pid())?;
        ensure!(now == self.workers, "nginx’s workers were {:?} and are {now:?}", self.workers);
        Ok(())
    }

    /// Stops it.
    pub fn stop(self) -> Result<()> {
        self.running.stop(libc::SIGTERM)
    }
}

fn configuration(place: &Path, address: SocketAddr, situation: Situation, workers: u32) -> String {
    let place = place.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {place}/{what};"))
        .join(" ");
    let sendfile = situation.sendfile();
    // No connection ends before the load does, and nothing is written to a disk.
    format!(
        "daemon off; worker_processes {workers}; user root; pid {place}/pid;
         error_log {place}/error.log;
         events {{ worker_connections 1024; }}
         http {{ access_log off; sendfile {sendfile}; keepalive_requests 1000000000; {temporary}
                 server {{ listen {address}; root {place}; }} }}\n"
    )
}

fn children_of(pid: u32) -> Result<Vec<u32>> {
    let text = read(Path::new(&format!("/proc/{pid}/task/{pid}/children")))?;
    let pids = text.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>();
    pids.context("a process id is no number")
}
