//! `copytrace run -- COMMAND`: traces a command and all its children, from its first instruction.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitCode, ExitStatus},
};

use tokio::signal::unix::{SignalKind, signal};
use tracer::session::flows::Start;

use super::{
    Files, Meanwhile,
    recorder::Recorder,
    spawn::{self, User},
};

/// Arguments of `copytrace run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub common: super::Options,
    /// Run the command as this user [default: who called sudo]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The command, after `--`
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs the verb. The exit status is the command's; 127 if there is no such command.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    let files = Files::create(&options.common)?;
    let user = match &options.user {
        Some(name) => Some(User::find(name)?),
        None => User::behind_sudo()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut recorder = Recorder::start(&options.common, verbose)?;
        let waiting = spawn::spawn(&options.command, user.as_ref())?;
        recorder.follow(waiting.pid, Start::AtExec)?;
        let child = match waiting.go(&options.command[0]) {
            Ok(child) => child,
            Err(failure) => return Ok(Err(failure)),
        };
        let status = follow(child, &mut recorder, options).await?;
        files.write(&recorder.recording(&target(options)), &options.common)?;
        anyhow::Ok(Ok(status))
    })?;
    match ended {
        Ok(status) => Ok(end_as(status)),
        Err(failure) => {
            eprintln!("copytrace: {:#}", failure.error);
            Ok(ExitCode::from(failure.status))
        }
    }
}

fn target(options: &Options) -> String {
    let words: Vec<_> = options.command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Collects until the command ends. What asks this program to end is passed on to the command,
/// unless the terminal told both.
async fn follow(
    mut child: Child,
    recorder: &mut Recorder,
    options: &Options,
) -> anyhow::Result<ExitStatus> {
    let pid = rustix::process::Pid::from_child(&child);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let _interrupt = signal(SignalKind::interrupt())?;
    let _quit = signal(SignalKind::quit())?;
    let mut ended = signal(SignalKind::child())?;
    let mut meanwhile = Meanwhile::start(&options.common);
    loop {
        let passed_on = tokio::select! {
            _ = tokio::time::sleep(recorder.pause()) => None,
            _ = ended.recv() => None,
            _ = terminate.recv() => Some(rustix::process::Signal::TERM),
            _ = hang_up.recv() => Some(rustix::process::Signal::HUP),
        };
        if let Some(signal) = passed_on {
            // It may be gone already.
            let _ = rustix::process::kill_process(pid, signal);
        }
        if let Some(status) = child.try_wait()? {
            recorder.finish()?;
            return Ok(status);
        }
        recorder.tick()?;
        meanwhile.show(recorder, &options.common, &target(options))?;
    }
}

/// Ends as the command did: with its exit status, or by its signal.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        // SAFETY: no pointers; a core of this program would say nothing about the command.
        unsafe {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return ExitCode::from(128u8.wrapping_add(signal as u8));
    }
    ExitCode::from(status.code().unwrap_or(1) as u8)
}
