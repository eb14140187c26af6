//! Children, threads, and a process that runs `exec` while its threads are busy.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::FileExt, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, anyhow};

use super::{
    Place,
    truth::{Buffers, Truth, file, in_child, memory, numbered, wait_for},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// How often
    #[arg(long)]
    rounds: usize,
}

const THREADS: usize = 4;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut truth = Truth::default();
    let mut buffers = Buffers::new(1 << 16);
    for round in 0..args.rounds {
        let (path, size) = &create(&args.place.folder, round, &mut truth)?;
        let same = File::open(path)?;
        let (output, input) = std::io::pipe()?;
        // The child's writes are not linked to this process's reads, though the memory looks the same.
        buffers.read(&same, *size - 3)?;
        truth.moved(&file(path), &memory(), *size as u64 - 3);
        let child = in_child(|| {
            let (mut truth, mut buffers) = (Truth::default(), Buffers::new(1 << 16));
            buffers.read(&same, 3)?;
            truth.moved(&file(path), &memory(), 3);
            buffers.write(&input, *size / 2)?;
            truth.moved(&memory(), &numbered("pipe", &input)?, *size as u64 / 2);
            let grandchild = in_child(|| grandchild(args, path, *size))?;
            wait_for(grandchild, false)?;
            truth.append_to(&args.place.truth)
        })?;
        buffers.read(&output, *size / 2)?;
        truth.moved(&numbered("pipe", &output)?, &memory(), *size as u64 / 2);
        wait_for(child, false)?;
        let busy = in_child(|| Err(become_another(args, path, *size)))?;
        wait_for(busy, false)?;
        truth.moved_by(busy, &file(path), &("other", "/dev/null".into()), *size as u64);
        die_in_a_call()?;
    }
    truth.append_to(&args.place.truth)
}

/// A file for each round, with a unique size.
fn create(folder: &Path, round: usize, truth: &mut Truth) -> anyhow::Result<(PathBuf, usize)> {
    let (path, size) = (folder.join(format!("kin-{round}")), 5000 + 2 * round);
    fs::write(&path, vec![7; size])?;
    truth.moved(&memory(), &file(&path), size as u64);
    Ok((path, size))
}

/// Its threads read from one object, each a unique number of bytes.
fn grandchild(args: &Args, path: &Path, size: usize) -> anyhow::Result<()> {
    let mut truth = Truth::default();
    for part in in_threads(path, size)? {
        truth.add(part);
    }
    truth.append_to(&args.place.truth)
}

fn in_threads(path: &Path, size: usize) -> anyhow::Result<Vec<Truth>> {
    let shared = File::open(path)?;
    let work = |thread: usize| {
        let (mut truth, count) = (Truth::default(), size / 8 + thread);
        let mut own = vec![0; count];
        shared.read_exact_at(&mut own, thread as u64)?;
        truth.moved(&file(path), &memory(), count as u64);
        let buffers = Buffers::new(count + THREADS);
        let (_output, input) = std::io::pipe()?;
        buffers.write(&input, count + THREADS)?;
        truth.moved(&memory(), &numbered("pipe", &input)?, (count + THREADS) as u64);
        // Freed memory would be reused by another thread.
        std::mem::forget((own, buffers));
        anyhow::Ok(truth)
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    done.into_iter().map(|thread| thread.map_err(|_| anyhow!("a thread panicked"))?).collect()
}

/// Threads wait in calls when another thread runs `exec` of `cat`, which ends them.
fn become_another(args: &Args, path: &Path, size: usize) -> anyhow::Error {
    let before = || {
        let mut truth = Truth::default();
        for part in in_threads(path, size)? {
            truth.add(part);
        }
        truth.append_to(&args.place.truth)?;
        let (output, input) = std::io::pipe()?;
        for _ in 0..THREADS {
            let fd = output.as_raw_fd();
            // SAFETY: the descriptor is open until the process becomes another program, and the
            // byte outlives the call.
            std::thread::spawn(move || unsafe {
                libc::read(fd, (&raw mut *Box::new(0u8)).cast(), 1)
            });
        }
        std::mem::forget((output, input));
        anyhow::Ok(())
    };
    if let Err(error) = before() {
        return error;
    }
    std::thread::sleep(Duration::from_millis(5));
    let path = path.to_owned();
    // Not the first thread of the process: its id changes with `exec`.
    let other = std::thread::spawn(move || {
        Command::new("cat").arg(path).stdin(Stdio::null()).stdout(Stdio::null()).exec()
    });
    match other.join() {
        Ok(error) => anyhow::Error::from(error).context("cannot run cat"),
        Err(_) => anyhow!("a thread panicked"),
    }
}

/// Children that are killed while all their threads wait in calls: they moved nothing.
fn die_in_a_call() -> anyhow::Result<()> {
    let (output, _input) = std::io::pipe()?;
    let fd = output.as_raw_fd();
    // SAFETY: the descriptor is open, and the byte outlives the call.
    let wait = move || unsafe { libc::read(fd, (&raw mut *Box::new(0u8)).cast(), 1) };
    let child = in_child(|| {
        for _ in 0..THREADS {
            std::thread::spawn(wait);
        }
        wait();
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(5));
    // SAFETY: a child that was not waited for.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
    wait_for(child, true).context("the child that was killed")
}
