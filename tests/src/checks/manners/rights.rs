//! Capabilities and limits: a missing capability disables only what needs it, and those no longer needed
//! are dropped.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{ensure_success, run, text};
use crate::check::{Check, Context};
use crate::support::report::Document;
use crate::support::sink::Sink;
use crate::support::traced::{FILE_BYTES, folder_with_file, signal, wait_until};

/// With few capabilities, and after dropping them.
pub const CHECKS: [Check; 3] = [
    Check { name: "attach: capabilities are given up", run: capabilities },
    Check { name: "run: with some capabilities, and kptr_restrict", run: some_capabilities },
    Check { name: "run: few files may be open", run: few_files },
];

/// The capabilities that remain while it waits for counters, and that no program gets the others back.
fn capabilities(context: &Context) -> Result<()> {
    /// CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_NET_ADMIN, CAP_DAC_OVERRIDE, CAP_SETUID,
    /// CAP_KILL and CAP_SYSLOG.
    const GIVEN_UP: [u32; 8] = [21, 16, 17, 12, 1, 7, 5, 34];
    let sink = Sink::start()?;
    let mut attach = Command::new(&context.copytrace);
    attach.args(["attach", "--tier", context.tier.name(), "--pid", &sink.pid().to_string()]);
    let mut attach = attach.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = attach.id();
    let field = |name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    wait_until("it has given up what it can", &mut attach, || field("NoNewPrivs:") == "1")?;
    let left = u64::from_str_radix(&field("CapPrm:"), 16)?;
    let kept: Vec<_> = GIVEN_UP.into_iter().filter(|bit| left & (1 << bit) != 0).collect();
    ensure!(kept.is_empty(), "capabilities {kept:?} are kept: {left:x}");
    signal(&attach, libc::SIGINT)?;
    ensure!(attach.wait()?.success(), "attach failed");
    sink.end()
}

/// Without root, a missing capability disables only what needs it; without the two that eBPF needs, the
/// reason is reported.
fn some_capabilities(context: &Context) -> Result<()> {
    let (folder, file) = folder_with_file()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    let copytrace = folder.path().join("copytrace");
    std::fs::copy(&context.copytrace, &copytrace)?;
    std::fs::set_permissions(&copytrace, PermissionsExt::from_mode(0o755))?;
    let with = |capabilities: &str| {
        let mut traced = Command::new("setpriv");
        traced.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        traced.args(["--inh-caps", capabilities, "--ambient-caps", capabilities, "--"]);
        traced.arg(&copytrace).args(["run", "--format", "json", "--output", "-", "--"]);
        traced.args(["dd", "of=/dev/null", "bs=64k", "status=none"]);
        let file = format!("if={}", file.display());
        traced.arg(file).current_dir("/").stdin(Stdio::null()).output()
    };
    let output = with("-all")?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.contains("CAP_BPF"), "it said {said}");
    // The guest belongs to this check, and is switched off if it fails.
    let hidden = Path::new("/proc/sys/kernel/kptr_restrict");
    let before = std::fs::read_to_string(hidden)?;
    for (capabilities, restrict) in [
        ("+bpf,+perfmon", None),
        ("+bpf,+perfmon,+syslog", None),
        ("+bpf,+perfmon,+syslog", Some("2")),
        ("+sys_admin", Some("0")),
    ] {
        if context.in_guest {
            std::fs::write(hidden, restrict.unwrap_or(before.trim()))?;
        }
        let output = with(capabilities);
        if context.in_guest {
            std::fs::write(hidden, &before)?;
        }
        let output = output?;
        ensure_success(&output).with_context(|| format!("with {capabilities}"))?;
        let document = Document::parse(&text(&output.stdout))?;
        let flow = document.flow(("file", "payload"), ("other", "/dev/null"))?;
        flow.check_payload(FILE_BYTES, 1.0).with_context(|| format!("with {capabilities}"))?;
    }
    Ok(())
}

/// The limit of open files is raised for copytrace, and not for the command; where it cannot be raised,
/// that is the reported reason.
fn few_files(context: &Context) -> Result<()> {
    let limited = |limit: &str| {
        let script = format!("ulimit {limit} && exec \"$@\"");
        let traced = run(context, &["--output", "/dev/null"], &["sh", "-c", "ulimit -Sn"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "sh"]).arg(traced.get_program()).args(traced.get_args());
        shell.stdin(Stdio::null()).output()
    };
    let output = limited("-Sn 48")?;
    ensure_success(&output)?;
    ensure!(text(&output.stdout) == "48\n", "the command’s limit is {}", text(&output.stdout));
    for too_few in ["-n 32", "-n 48"] {
        let output = limited(too_few)?;
        let said = text(&output.stderr);
        ensure!(output.status.code() == Some(1), "{too_few}: it ended with {}", output.status);
        ensure!(said.contains("Too many open files") && said.contains("ulimit"), "it said {said}");
    }
    Ok(())
}
