//! PostgreSQL reads a table that is larger than its own buffers: each page is read once from the page
//! cache (`mdread`), and the rows are sent through a Unix socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::report::{Document, agrees};
use crate::support::traced::{Io, end, signal, wait_until};
use xtask::command;
use xtask::setup::foreign::{self, Found};

/// A scan of a table.
pub const CHECKS: [Check; 1] =
    [Check { name: "PostgreSQL: a sequential scan; /proc/PID/io", run: scan }];

/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
const ROWS: u32 = 12_000;

/// A server of its own, in a folder of its own.
struct Cluster {
    programs: Found,
    folder: tempfile::TempDir,
}

/// The accounts of PostgreSQL and of the kernel.
struct Known {
    table_bytes: u64,
    rows_bytes: u64,
    io: Io,
}

impl Cluster {
    fn new(programs: Found) -> Result<Self> {
        let folder = tempfile::tempdir_in("/var/tmp")?;
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
        let cluster = Self { programs, folder };
        let mut initdb = cluster.as_nobody("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--username=postgres", "--pgdata"]).arg(cluster.data());
        command::run(&mut initdb)?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The unpacked programs may be in a directory that only root can search.
    fn as_nobody(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        command.args(["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]);
        command.arg(&self.programs.beside(program).program).current_dir(self.folder.path());
        self.programs.set_library_path(&mut command);
        command.stdin(Stdio::null());
        command
    }

    fn start(&self) -> Result<Child> {
        let mut postgres = self.as_nobody("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        // No background work, and few buffers.
        let settings =
            ["listen_addresses=", "fsync=off", "autovacuum=off", "shared_buffers=1MB", "jit=off"];
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let mut server = postgres.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let ready = || command::run(self.psql().args(["-c", "select 1"])).is_ok();
        wait_until("PostgreSQL answers", &mut server, ready)?;
        Ok(server)
    }

    fn psql(&self) -> Command {
        let mut psql = self.programs.beside("psql").command();
        psql.args(["-X", "-A", "-t", "-q", "-U", "postgres", "-h"]).arg(self.folder.path());
        psql.arg("postgres").current_dir("/");
        psql
    }

    fn ask(&self, query: &str) -> Result<String> {
        Ok(command::stdout(self.psql().args(["-c", query]))?.trim().to_owned())
    }
}

fn scan(context: &Context) -> Result<()> {
    let cluster = Cluster::new(context.foreign(&foreign::POSTGRES)?)?;
    let mut server = cluster.start()?;
    let report = cluster.folder.path().join("report");
    let known = scanned(context, &cluster, &server, &report);
    end(&mut server)?;
    let known = known?;
    let document = Document::read(&report)?;
    let read = document.flow(("file", "/base/"), ("memory", ""))?;
    read.check(context, known.table_bytes, 1.0, "copied-to-memory")?;
    let sent = document.flow(("memory", ""), ("unix", ""))?;
    sent.check(context, known.rows_bytes, 1.0, "copied-from-memory")?;
    let from_files = document.read_bytes(|source| source.kind == "file");
    agrees("what was read from files, and rchar", from_files, known.io.read)?;
    let copied = known.table_bytes + known.rows_bytes;
    if context.verify().is_empty() { Ok(()) } else { document.check_verified(copied) }
}

fn scanned(context: &Context, cluster: &Cluster, server: &Child, report: &Path) -> Result<Known> {
    let table = format!(
        "create table pages as select n, repeat(md5(n::text), 20) as text from \
         generate_series(1, {ROWS}) n; vacuum pages; checkpoint"
    );
    for statement in table.split("; ") {
        cluster.ask(statement)?;
    }
    let table_bytes = cluster.ask("select pg_relation_size('pages')")?.parse()?;
    let mut attach = context.attached(context.verify(), report, server.id())?;
    let io = one_scan(cluster);
    signal(&attach, libc::SIGINT)?;
    let status = attach.wait()?;
    ensure!(status.success(), "attach ended with {status}");
    let (io, rows_bytes) = io?;
    ensure!(cluster.ask("select 1")? == "1", "the server does not go on");
    Ok(Known { table_bytes, rows_bytes, io })
}

/// The scan, in a session that lasts until its process's account was read: (the account, bytes of rows in
/// the protocol).
fn one_scan(cluster: &Cluster) -> Result<(Io, u64)> {
    let mut psql = cluster.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut say = psql.stdin.take().context("no pipe")?;
    let mut lines = BufReader::new(psql.stdout.take().context("no pipe")?).lines();
    writeln!(say, "select pg_backend_pid(); select n, text from pages; select 'done';")?;
    let pid = lines.next().context("psql ended")??.parse()?;
    let mut rows_bytes = 0;
    for line in lines {
        let line = line?;
        if line == "done" {
            break;
        }
        // A row is a message (5) with the number of columns (2) and the length of each (4); psql prints
        // one `|` between them.
        rows_bytes += 5 + 2 + 2 * 4 + line.len() as u64 - 1;
    }
    let io = Io::of(pid)?;
    drop(say);
    ensure!(psql.wait()?.success(), "psql failed");
    Ok((io, rows_bytes))
}
