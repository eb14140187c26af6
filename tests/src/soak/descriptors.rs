//! A file descriptor that is a file, a pipe and a socket in turn, in two threads at once. Inode numbers
//! of files are reused too.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::anyhow;

use super::{
    Place,
    truth::{Buffers, Truth, file, memory, numbered},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// How often each descriptor is something else
    #[arg(long)]
    rounds: usize,
}

const THREADS: usize = 2;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let work = |thread: usize| {
        // Each thread has its own memory until the end: freed memory would be reused.
        let (mut truth, mut buffers) = (Truth::default(), Buffers::new(1 << 16));
        let folder = &args.place.folder;
        for round in 0..args.rounds {
            turn(folder, THREADS * round + thread, &mut buffers, &mut truth)?;
        }
        anyhow::Ok((truth, buffers))
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut truth = Truth::default();
    for thread in done {
        let (part, _buffers) = thread.map_err(|_| anyhow!("a thread panicked"))??;
        truth.add(part);
    }
    truth.append_to(&args.place.truth)
}

/// One turn, with unique byte counts.
fn turn(
    folder: &Path,
    number: usize,
    buffers: &mut Buffers,
    truth: &mut Truth,
) -> anyhow::Result<()> {
    let count = 100 + 4 * number;
    let path = folder.join(format!("turn-{number}"));
    buffers.write(File::create(&path)?, count)?;
    truth.moved(&memory(), &file(&path), count as u64);

    let (left, right) = UnixStream::pair()?;
    buffers.write(&left, count + 1)?;
    buffers.read(&right, count + 1)?;
    truth.moved(&memory(), &numbered("unix", &left)?, count as u64 + 1);
    truth.moved(&numbered("unix", &right)?, &memory(), count as u64 + 1);
    drop((left, right));

    let (output, input) = std::io::pipe()?;
    buffers.write(&input, count + 2)?;
    buffers.read(&output, count + 2)?;
    truth.moved(&memory(), &numbered("pipe", &input)?, count as u64 + 2);
    truth.moved(&numbered("pipe", &output)?, &memory(), count as u64 + 2);
    drop((output, input));

    let (_output, input) = std::io::pipe()?;
    buffers.read(File::open(&path)?, count)?;
    buffers.pass_on(&input, count)?;
    truth.moved(&file(&path), &numbered("pipe", &input)?, count as u64);
    // The next file gets the same inode number.
    Ok(fs::remove_file(&path)?)
}
