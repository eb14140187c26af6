//! Errors are reported in one clear line, with an exit status, and leave nothing behind.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::traced::until;
use xtask::command;

/// Checks that do not depend on the tier.
pub const CHECKS: [Check; 9] = [
    Check { name: "bad use: SIGKILL", run: killed },
    Check { name: "bad use: Ctrl-C", run: interrupted },
    Check { name: "bad use: dummy device", run: dummy_device },
    Check { name: "bad use: unreachable consumer", run: unreachable_consumer },
    Check { name: "bad use: consumer dies", run: dying_consumer },
    Check { name: "bad use: full disk", run: full_disk },
    Check { name: "bad use: unknown strategy", run: unknown_strategy },
    Check { name: "bad use: no root", run: no_root },
    Check { name: "bad use: no BTF", run: no_btf },
];

/// The directory of the command's payload file.
const PAYLOAD_FOLDER: &str = "/var/tmp";
const NOBODY: u32 = 65534;

/// Bytes that the NIC has sent when a transfer counts as under way.
const UNDER_WAY: u64 = 1 << 20;

impl Context {
    fn bad(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.copytrace);
        command.arg("demo").args(arguments);
        command
    }
}

fn unknown_strategy(context: &Context) -> Result<()> {
    fails(&mut context.bad(&["--strategy", "teleport"]), &["teleport"])
}

fn no_root(context: &Context) -> Result<()> {
    // The program may be in a directory that only its owner can search.
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let copy = folder.path().join("copytrace");
    std::fs::copy(&context.copytrace, &copy)?;
    fails(
        Command::new(copy).arg("demo").uid(NOBODY).gid(NOBODY).current_dir("/"),
        &["root", "sudo"],
    )
}

fn no_btf(context: &Context) -> Result<()> {
    // The cache of what it once read there must be hidden too.
    let hide = "mkdir -p /var/cache/copytrace && mount -t tmpfs none /var/cache/copytrace && \
                mount -t tmpfs none /sys/kernel/btf && exec \"$0\" demo";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", hide]).arg(&context.copytrace);
    fails(&mut command, &["BTF"])
}

fn unreachable_consumer(context: &Context) -> Result<()> {
    fails(&mut context.bad(&["--to", "127.0.0.1:1"]), &["127.0.0.1:1"])
}

fn dying_consumer(context: &Context) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // It accepts the request, receives some of the payload, and no more.
            let mut request = [0; 8];
            let _ = stream
                .read_exact(&mut request)
                .and_then(|()| stream.write_all(&request))
                .and_then(|()| stream.read_exact(&mut [0; 100_000]));
        }
    });
    fails(&mut context.bad(&["--to", &address]), &["consumer"])
}

fn full_disk(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    command::run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(path))?;
    let text = path.display().to_string();
    let result = fails(&mut context.bad(&["--dir", &text]), &["space"]);
    let left = std::fs::read_dir(path)?.count();
    command::run(Command::new("umount").arg(path))?;
    result?;
    ensure!(left == 0, "{left} files were left on the full disk");
    Ok(())
}

fn interrupted(context: &Context) -> Result<()> {
    let output = ended_by(context, libc::SIGINT)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(130), "{} after Ctrl-C:\n{said}", output.status);
    ensure!(output.stdout.is_empty(), "an interrupted run printed a document");
    nothing_left()?;
    super::documents::scatter_gather_restored(context)
}

fn killed(context: &Context) -> Result<()> {
    let output = ended_by(context, libc::SIGKILL)?;
    ensure!(output.status.signal() == Some(libc::SIGKILL), "{} after SIGKILL", output.status);
    nothing_left()?;
    super::documents::scatter_gather_restored(context)
}

/// A dummy device gets no connections, and its network namespace ends with the run, however that ends.
fn dummy_device(context: &Context) -> Result<()> {
    let mut connection = context.bad(&["--to", "dummy", "--format", "json"]);
    let text = command::stdout(connection.args(["--strategy", "write"]))?;
    ensure!(text.contains("only datagrams can be sent to it"), "no reason in:\n{text}");
    fails(&mut context.bad(&["--to", "dummy", "--nic-sg", "off"]), &["--nic-sg", "--to nic"])?;
    let before = network_namespaces()?;
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let sent = ["--to", "dummy", "--strategy", "udp-send"];
        let some = ["--messages", "20000", "--message-size", "1KiB"];
        interrupt(context, &[sent, some].concat(), signal, || {
            until("a network namespace is made", || Ok(network_namespaces()?.len() > before.len()))
        })?;
        until("it ends", || Ok(network_namespaces()? == before))
            .with_context(|| format!("signal {signal}"))?;
        nothing_left()?;
    }
    Ok(())
}

/// The network namespaces of all processes.
fn network_namespaces() -> Result<BTreeSet<PathBuf>> {
    let processes = std::fs::read_dir("/proc")?.flatten();
    // A process may have ended meanwhile.
    Ok(processes.filter_map(|entry| entry.path().join("ns/net").read_link().ok()).collect())
}

/// Sends a signal during a run without scatter-gather.
fn ended_by(context: &Context, signal: i32) -> Result<Output> {
    let sent = || -> Result<u64> {
        let bytes = std::fs::read_to_string("/sys/class/net/eth0/statistics/tx_bytes")?;
        Ok(bytes.trim().parse()?)
    };
    let before = sent()?;
    // Many short messages: long enough for the signal to arrive during a transfer.
    let many = ["--messages", "200000", "--message-size", "1KiB"];
    let arguments = [&["--to", "nic", "--nic-sg", "off"], &many[..]].concat();
    interrupt(context, &arguments, signal, || {
        until("the transfer is under way", || Ok(sent()? > before + UNDER_WAY))
    })
}

/// Sends a signal during a run, once `is_time` holds.
fn interrupt(
    context: &Context,
    arguments: &[&str],
    signal: i32,
    wait: impl FnOnce() -> Result<()>,
) -> Result<Output> {
    let mut command = context.bad(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = i32::try_from(child.id())?;
    let waited = wait();
    // SAFETY: kill only sends a signal, to a child that has not been waited for.
    unsafe { libc::kill(process, signal) };
    let output = child.wait_with_output()?;
    waited.map(|()| output)
}

/// Runs a command that must fail with a line that contains all these words, and leave nothing behind.
fn fails(command: &mut Command, words: &[&str]) -> Result<()> {
    let shown = command::show(command);
    let output = command.stdin(Stdio::null()).output().context(shown)?;
    check_failure(&output, words)?;
    nothing_left()
}

/// Said beforehand where no network card leads to a consumer.
const NO_CARD: &str = "sending over loopback";

fn check_failure(output: &Output, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    ensure!(matches!(code, Some(1 | 2)), "{}; stderr:\n{said}", output.status);
    ensure!(output.stdout.is_empty(), "a failed run printed a document");
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("copytrace: ") && !line.ends_with(NO_CARD))
        .collect();
    ensure!(lines.len() == 1, "{} lines tell what is wrong; stderr:\n{said}", lines.len());
    let found = words.iter().all(|word| lines[0].to_lowercase().contains(&word.to_lowercase()));
    ensure!(found, "`{}` does not speak of {words:?}", lines[0]);
    Ok(())
}

fn nothing_left() -> Result<()> {
    let names = std::fs::read_dir(PAYLOAD_FOLDER)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains("copytrace"))
        .collect::<Vec<_>>();
    ensure!(names.is_empty(), "left behind in {PAYLOAD_FOLDER}: {}", names.join(", "));
    Ok(())
}
