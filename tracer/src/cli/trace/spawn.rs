//! Starts a command so that its first instruction is already traced: the child waits between
//! `fork` and `exec` until it is told to go on.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
    thread::JoinHandle,
};

use anyhow::{Context, anyhow};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::cli::{limits, user::User};

/// A command that waits to be let go.
pub struct Waiting {
    /// Its process id.
    pub pid: u32,
    go: OwnedFd,
    spawner: JoinHandle<io::Result<Child>>,
}

/// Why a command did not start.
#[derive(Debug)]
pub struct NotStarted {
    /// What the shell would exit with: 127 if there is no such command, else 126.
    pub status: u8,
    /// Why, in one line.
    pub error: anyhow::Error,
}

/// Forks; the child waits.
pub fn spawn(command: &[OsString], user: Option<&User>) -> anyhow::Result<Waiting> {
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
    // until `spawn` returns.
    unsafe {
        spawning.pre_exec(move || {
            limits::restore_open_files()?;
            wait(ends, our_end)
        })
    };
    // It returns after the exec, which we must allow first.
    let spawner = std::thread::spawn(move || {
        let child = spawning.spawn();
        drop((say_pid, hear_go));
        child
    });
    let mut pid = [0; 4];
    let heard = std::fs::File::from(hear_pid).read_exact(&mut pid);
    if let Err(error) = heard {
        let cause = spawner.join().map_err(|_| anyhow!("the spawning thread ended"))?.err();
        return Err(cause.map_or_else(|| error.into(), anyhow::Error::from))
            .context("cannot start a process");
    }
    Ok(Waiting { pid: u32::from_ne_bytes(pid), go, spawner })
}

fn run_as(command: &mut Command, user: &User) -> anyhow::Result<()> {
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

/// In the child: says who it is, and waits for a byte.
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
            // Whoever was to trace it is gone.
            _ => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        }
    }
}

impl Waiting {
    /// Lets it go, and waits until it runs the command.
    pub fn go(self, program: &OsString) -> Result<Child, NotStarted> {
        let told = std::fs::File::from(self.go).write_all(&[1]);
        let child = self.spawner.join();
        let name = program.to_string_lossy();
        match (child, told) {
            (Ok(Ok(child)), Ok(())) => Ok(child),
            (Ok(Err(error)), _) => {
                let status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
                Err(NotStarted { status, error: anyhow!("cannot run {name}: {error}") })
            }
            _ => Err(NotStarted { status: 125, error: anyhow!("cannot run {name}") }),
        }
    }
}
