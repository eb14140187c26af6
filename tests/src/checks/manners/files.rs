//! Result files: their owner, and that an old file stays until there is a new one.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::{NOBODY, ensure_success, run, text};
use crate::check::{Check, Context};

/// Writing results and reading recordings.
pub const CHECKS: [Check; 5] = [
    Check { name: "--output, --record: the old file stays on any failure", run: old_files_stay },
    Check { name: "--output: a full disk", run: full_disk },
    Check { name: "under sudo: files are the user’s", run: files_under_sudo },
    Check { name: "run: secrets are masked", run: secrets },
    Check { name: "report: what is no recording", run: no_recording },
];

/// For a command that cannot be run, and for a tier that is not available.
fn old_files_stay(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let names = ["report", "recording"].map(|name| folder.path().join(name));
    let flags = || ["--output", "--record"].into_iter().zip(&names);
    for wrong in [&["--", "/nonexistent"][..], &["--per", "nothing", "--", "true"]] {
        for name in &names {
            std::fs::write(name, "old")?;
        }
        let mut copytrace = Command::new(&context.copytrace);
        copytrace.args(["run", "--tier", context.tier.name()]);
        flags().for_each(|(flag, name)| {
            copytrace.arg(flag).arg(name);
        });
        let output = copytrace.args(wrong).output()?;
        ensure!(!output.status.success(), "{wrong:?} succeeded");
        for name in &names {
            ensure!(std::fs::read(name)? == b"old", "{wrong:?}: {} is new", name.display());
        }
    }
    let left = std::fs::read_dir(folder.path())?.count();
    ensure!(left == names.len(), "{left} files are there");
    Ok(())
}

/// One clear error, and the report nevertheless.
fn full_disk(context: &Context) -> Result<()> {
    let output = run(context, &["--output", "/dev/full"], &["true"]).output()?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(said.contains("No space left on device"), "no error: {said}");
    ensure!(said.contains("Traced"), "no report: {said}");
    let output = run(context, &["--output", "/dev/full"], &["sh", "-c", "exit 7"]).output()?;
    ensure!(output.status.code() == Some(7), "the command’s status became {}", output.status);
    Ok(())
}

/// Under sudo, the files belong to the user, and are written only where that user may write.
fn files_under_sudo(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
    let [report, recording, link, roots] =
        ["report", "recording", "link", "roots"].map(|name| folder.path().join(name));
    std::fs::write(&roots, "root’s")?;
    std::fs::set_permissions(&roots, PermissionsExt::from_mode(0o600))?;
    symlink(&roots, &link)?;
    let under_sudo = |output: &Path| {
        let mut copytrace = Command::new(&context.copytrace);
        copytrace.args(["run", "--tier", context.tier.name(), "--record"]).arg(&recording);
        copytrace.arg("--output").arg(output).args(["--", "true"]);
        copytrace.env("SUDO_UID", NOBODY.to_string()).env("SUDO_GID", NOBODY.to_string());
        copytrace.output()
    };
    ensure_success(&under_sudo(&report)?)?;
    for (file, mode) in [(&report, 0o644), (&recording, 0o600)] {
        let found = std::fs::metadata(file)?;
        ensure!(found.uid() == NOBODY, "{} is of user {}", file.display(), found.uid());
        ensure!(found.mode() & 0o777 == mode, "{}: {:o}", file.display(), found.mode());
    }
    let elsewhere = tempfile::tempdir()?;
    for refused in [&link, &roots, &elsewhere.path().join("report")] {
        let output = under_sudo(refused)?;
        ensure!(output.status.code() == Some(1), "{}: {}", refused.display(), output.status);
    }
    ensure!(std::fs::read_to_string(&roots)? == "root’s", "root’s file was written");
    ensure!(std::fs::read_dir(elsewhere.path())?.next().is_none(), "root’s folder was written");
    Ok(())
}

/// Text that looks like a secret is in no file, unless it was asked for.
fn secrets(context: &Context) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("recording");
    let name = recording.display().to_string();
    for (flags, told) in [(&[][..], false), (&["--with-arguments"], true)] {
        let flags = [&["--record", &name], flags].concat();
        let output = run(context, &flags, &["true", "--password=hunter2", "plain"]).output()?;
        ensure_success(&output)?;
        let recorded = std::fs::read_to_string(&recording)?;
        ensure!(recorded.contains("plain"), "it does not say what was run");
        let seen = [&recorded, &text(&output.stderr)].map(|text| text.contains("hunter2"));
        ensure!(seen == [told, told], "{flags:?}: the secret is there: {seen:?}");
    }
    Ok(())
}

/// A file without an end, and a recording through a pipe.
fn no_recording(context: &Context) -> Result<()> {
    let report = |file: &str| {
        let mut report = Command::new(&context.copytrace);
        report.args(["report", file]).stdin(Stdio::null());
        report
    };
    let output = report("/dev/zero").output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    ensure!(text(&output.stderr).contains("larger than"), "it said {}", text(&output.stderr));
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("recording");
    let name = recording.display().to_string();
    ensure_success(&run(context, &["--record", &name], &["true"]).output()?)?;
    let output = report("-").stdin(File::open(&recording)?).output()?;
    ensure_success(&output)?;
    ensure!(text(&output.stdout).contains("Traced"), "no report: {}", text(&output.stdout));
    Ok(())
}
