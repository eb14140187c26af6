//! Reads the same bytes again and again, until it is killed.

use std::{fs::File, os::unix::fs::FileExt, path::PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read
    file: PathBuf,
    /// Bytes of every call
    #[arg(long)]
    count: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let file = File::open(&args.file)?;
    let mut buffer = vec![0; args.count];
    loop {
        file.read_exact_at(&mut buffer, 0)?;
    }
}
