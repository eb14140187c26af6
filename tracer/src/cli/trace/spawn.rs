//! Starts a command so that its first instruction is already traced: the child waits between `fork` and
//! `exec` for a start byte.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

use anyhow::{Context, anyhow, bail};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::cli::{inherited, user::User};

/// A command that did not start.
#[derive(Debug)]
pub struct NotStarted {
    /// The exit status of a shell in this case: 127 if there is no such command, else 126.
    pub status: u8,
    /// The reason, in one line.
    pub error: anyhow::Error,
}

/// Starts it; `meet` gets its process id before its first instruction. It is a child of the calling
/// thread, which must live as long: the end of that thread sends the signal of `PR_SET_PDEATHSIG`.
pub fn spawn(
    command: &[OsString],
    user: Option<&User>,
    meet: impl FnOnce(u32) -> anyhow::Result<()> + Send,
) -> anyhow::Result<Result<Child, NotStarted>> {
    let (program, arguments) = command.split_first().context("give a command")?;
    let (hear_pid, say_pid) = pipe_with(PipeFlags::CLOEXEC)?;
    let (hear_go, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut spawning = Command::new(program);
    spawning.args(arguments);
    if let Some(user) = user {
        run_as(&mut spawning, user)?;
    }
    let ends = [say_pid.as_raw_fd(), hear_go.as_raw_fd()];
    let our_end = go.as_raw_fd();
    // SAFETY: between fork and exec this makes system calls only, on descriptors that are open
    // until the child was spawned.
    unsafe {
        spawning.pre_exec(move || {
            inherited::restore()?;
            wait(ends, our_end)
        })
    };
    let (child, met) = std::thread::scope(|scope| {
        // `spawn` returns after the `exec`, which another thread must permit.
        let meeting = scope.spawn(move || let_go(hear_pid, go, meet));
        let child = spawning.spawn();
        drop((say_pid, hear_go));
        (child, meeting.join())
    });
    let met = met.map_err(|_| anyhow!("the thread that lets it go ended"))?;
    let name = program.to_string_lossy();
    match (child, met) {
        (_, Met::Failed(error)) => Err(error),
        (Ok(child), Met::LetGo) => Ok(Ok(child)),
        (Err(error), Met::LetGo) => {
            let status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            Ok(Err(NotStarted { status, error: anyhow!("cannot run {name}: {error}") }))
        }
        (Err(error), Met::Nobody) => Err(error).context("cannot start a process"),
        (Ok(_), Met::Nobody) => bail!("{name} runs, and nobody let it go"),
    }
}

/// The state of a waiting child.
enum Met {
    LetGo,
    /// It never sent its process id.
    Nobody,
    /// It must not run.
    Failed(anyhow::Error),
}

/// Reads the child's process id, and permits the `exec`.
fn let_go(hear_pid: OwnedFd, go: OwnedFd, meet: impl FnOnce(u32) -> anyhow::Result<()>) -> Met {
    let mut pid = [0; 4];
    if File::from(hear_pid).read_exact(&mut pid).is_err() {
        return Met::Nobody;
    }
    let told = meet(u32::from_ne_bytes(pid)).and_then(|()| Ok(File::from(go).write_all(&[1])?));
    told.map_or_else(Met::Failed, |()| Met::LetGo)
}

/// Makes a command run as a user, with that user's folder and groups.
pub fn run_as(command: &mut Command, user: &User) -> anyhow::Result<()> {
    let (uid, gid, groups) = (user.uid, user.gid, user.groups()?);
    let name = user.name.to_string_lossy().into_owned();
    command.env("HOME", &user.home).env("USER", &name).env("LOGNAME", &name);
    // SAFETY: as in `spawn`; the groups were looked up before.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setgid(gid)?;
            nix::unistd::setuid(uid)?;
            Ok(())
        });
    }
    Ok(())
}

/// In the child: sends its process id, and waits for a byte.
fn wait([say, hear]: [RawFd; 2], our_end: RawFd) -> io::Result<()> {
    let pid = std::process::id().to_ne_bytes();
    let mut byte = 0u8;
    // SAFETY: the buffers are as long as said; the child has copies of all descriptors, and would
    // never see the end of the pipe if it kept the writing one.
    unsafe {
        libc::close(our_end);
        if libc::write(say, pid.as_ptr().cast(), pid.len()) != 4 {
            return Err(io::Error::last_os_error());
        }
        match libc::read(hear, (&raw mut byte).cast(), 1) {
            1 => Ok(()),
            // The tracer is gone.
            _ => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        }
    }
}
