//! `copytrace run -- COMMAND`: traces a command and all its children, from its first instruction.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitCode, ExitStatus},
    time::Duration,
};

use clap::error::ErrorKind;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracer::session::{Start, Wanted};
use tracer_common::signal::Signal as Sent;

use super::{
    Meanwhile, Results, arguments, conclude,
    recorder::Recorder,
    signals::{self, Caught, Signals},
    spawn,
    writer::Writer,
};
use crate::cli::{origin, output::Destination, progress::Progress, say, usage, user::User};

const VERB: &str = "run";

/// Arguments of `copytrace run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub common: super::Options,
    /// Run the command as this user [default: the caller of sudo]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Trace the command's descendants after the command itself has ended
    #[arg(long, value_enum, default_value = "yes", value_name = "YES|NO")]
    pub follow: Follow,
    /// Report the command's arguments unchanged; by default those that look like secrets are masked
    #[arg(long)]
    pub with_arguments: bool,
    /// The command, after `--`
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Whether a command's descendants are traced when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Follow {
    /// Until the last of them ends
    Yes,
    /// Until the command ends
    No,
}

impl Options {
    fn target(&self) -> String {
        arguments::described(&self.command, self.with_arguments)
    }
}

/// Runs the verb. The exit status is the command's; 127 if there is no such command. If the command
/// succeeded: 1 without a report, and 3 if a rule is broken.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    check(options);
    // Standard output belongs to the command.
    let results = Results::prepare(&options.common, Destination::Stderr)?;
    let (runtime, mut signals) = signals::catch()?;
    let origin = origin::now(options.with_arguments);
    let user = match &options.user {
        Some(name) => Some(User::find(name)?),
        None => User::behind_sudo()?,
    };
    let ended = runtime.block_on(async {
        let progress = (!options.common.quiet).then(Progress::start);
        if let Some(progress) = &progress {
            progress.say("attaching to the kernel");
        }
        let wanted = Wanted { signals: true, ..Wanted::default() };
        let mut recorder = Recorder::start(&options.common, wanted, origin, verbose)?;
        // If it were ignored when the command ends, there would be no status.
        let ended = signal(SignalKind::child())?;
        let session = recorder.session();
        let spawned = spawn::spawn(&options.command, user.as_ref(), |pid| {
            session.follow(pid, Start::AtExec)?;
            // From now on the terminal belongs to the command.
            drop(progress);
            Ok(())
        })?;
        let child = match spawned {
            Ok(child) => child,
            Err(failure) => return Ok(Err(failure)),
        };
        recorder.give_up_privileges(results.are_files(), true);
        let command = Running { child, ended };
        let mut writer = Writer::start(results);
        let status = follow(command, &mut recorder, options, &mut signals, &mut writer).await?;
        recorder.finish();
        let recording = recorder.recording(&options.target());
        let expectations = options.common.judge(&recording);
        let judged = conclude(&expectations, options.common.quiet);
        let written = writer.finish(recording, expectations, &mut signals).await;
        anyhow::Ok(Ok((status, written, judged)))
    })?;
    match ended {
        Ok((status, written, judged)) if status.success() => written.map(|()| judged),
        Ok((status, written, _)) => {
            if let Err(error) = written {
                say(&format!("copytrace: {error:#}"));
            }
            Ok(end_as(status))
        }
        Err(failure) => {
            say(&format!("copytrace: {:#}", failure.error));
            Ok(ExitCode::from(failure.status))
        }
    }
}

/// Refuses to mix machine-readable output with the command's, and options without effect.
fn check(options: &Options) {
    let outputs = &options.common.outputs;
    let is_for_programs = outputs.formats().iter().any(|format| format.is_for_programs());
    if is_for_programs && !outputs.are_named() {
        let what = "a --format for programs needs --output FILE, or `--output -` for standard output, \
                    which is the command's, too";
        usage::refuse(VERB, ErrorKind::MissingRequiredArgument, what);
    }
    options.common.check(VERB);
}

/// A running command.
struct Running {
    child: Child,
    /// The signal that a child has ended.
    ended: Signal,
}

/// Collects until the command and its descendants end. A signal that asks this program to end is passed
/// on to the command, unless the terminal sent it to both.
async fn follow(
    Running { mut child, mut ended }: Running,
    recorder: &mut Recorder,
    options: &Options,
    signals: &mut Signals,
    writer: &mut Writer,
) -> anyhow::Result<ExitStatus> {
    let pid = rustix::process::Pid::from_child(&child);
    let mut meanwhile = Meanwhile::start(&options.common, false);
    let (mut status, target) = (None, options.target());
    loop {
        let caught = tokio::select! {
            _ = tokio::time::sleep(recorder.pause()) => None,
            _ = ended.recv() => None,
            caught = signals.next() => Some(caught),
        };
        match (caught, status) {
            (Some(_), Some(status)) => return Ok(status),
            (Some(caught), None) => pass_on(caught, pid, recorder).await,
            (None, _) => {}
        }
        let lived = status.is_none();
        if lived {
            status = child.try_wait()?;
        }
        reap_orphans(pid);
        if let Some(status) = status {
            let left = match options.follow {
                Follow::Yes if !recorder.has_failed() => recorder.followed(),
                Follow::Yes | Follow::No => 0,
            };
            match left {
                0 => return Ok(status),
                left if lived => say(&lives(left)),
                _ => {}
            }
        }
        recorder.tick();
        meanwhile.show(recorder, writer, &target);
    }
}

/// Reaps orphans that have ended: they are this program's children if it is the first process of its PID
/// namespace, such as in a container.
fn reap_orphans(command: rustix::process::Pid) {
    if std::process::id() != 1 {
        return;
    }
    loop {
        // SAFETY: all zeros is valid, and stays where nobody has ended; the call fills it and takes nobody
        // away.
        let ended = unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            libc::waitid(libc::P_ALL, 0, &raw mut info, flags);
            info.si_pid()
        };
        match rustix::process::Pid::from_raw(ended) {
            Some(orphan) if orphan != command => {
                let _ =
                    rustix::process::waitpid(Some(orphan), rustix::process::WaitOptions::NOHANG);
            }
            _ => return,
        }
    }
}

fn lives(descendants: usize) -> String {
    let (processes, live, them) = match descendants {
        1 => ("process", "lives", "it"),
        _ => ("processes", "live", "them"),
    };
    format!(
        "copytrace: the command has ended; {descendants} {processes} that it started {live} on, and \
         tracing goes on with {them}: Ctrl-C ends it and leaves {them} alone"
    )
}

/// A signal to a group reaches all its processes within this time.
const GROUP: Duration = Duration::from_millis(20);

/// Passes a signal on to the command, which may be gone already, unless it was sent it by the same
/// process: then the group was meant that both are in.
async fn pass_on(caught: Caught, pid: rustix::process::Pid, recorder: &mut Recorder) {
    let Some(signal) = rustix::process::Signal::from_named_raw(caught.number) else { return };
    if caught.by_terminal {
        return;
    }
    tokio::time::sleep(GROUP).await;
    let process = pid.as_raw_nonzero().get().cast_unsigned();
    let sent = Sent { process, number: caught.number.cast_unsigned() };
    if !recorder.session().was_sent(sent, caught.sender).unwrap_or(false) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Ends as the command did: with its exit status, or by its signal.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        // SAFETY: each pointer is to what lives during the call; a core of this program would say nothing
        // about the command.
        unsafe {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            libc::signal(signal, libc::SIG_DFL);
            // It was blocked by who started this program, perhaps.
            let mut blocked = std::mem::zeroed();
            libc::sigemptyset(&raw mut blocked);
            libc::sigaddset(&raw mut blocked, signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const blocked, std::ptr::null_mut());
            libc::raise(signal);
        }
        return ExitCode::from(128u8.wrapping_add(signal as u8));
    }
    ExitCode::from(status.code().unwrap_or(1) as u8)
}
