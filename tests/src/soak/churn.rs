//! Processes that start and end as fast as this machine can, each reading one file.

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};

use super::{Place, truth};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// How many processes
    #[arg(long)]
    processes: usize,
}

const FILES: usize = 41;
/// Processes at a time.
const AT_ONCE: usize = 6;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let files: Vec<(PathBuf, usize)> = (0..FILES)
        .map(|index| (args.place.folder.join(format!("churn-{index}")), 1000 + 37 * index))
        .collect();
    let mut truth = truth::Truth::default();
    for (path, size) in &files {
        std::fs::write(path, vec![7; *size])?;
        truth.moved(&truth::memory(), &truth::file(path), *size as u64);
    }
    let mut running = VecDeque::new();
    let since = Instant::now();
    for (path, size) in files.iter().cycle().take(args.processes) {
        if running.len() == AT_ONCE {
            running.pop_front().map_or(Ok(()), end)?;
        }
        let mut cat = Command::new("cat");
        let child = cat.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let null = ("other", "/dev/null".to_owned());
        truth.moved_by(child.id(), &truth::file(path), &null, *size as u64);
        running.push_back(child);
    }
    running.into_iter().try_for_each(end)?;
    let rate = args.processes as f64 / since.elapsed().as_secs_f64();
    truth.print(&format!("{rate:.0} processes a second"))?;
    truth.append_to(&args.place.truth)
}

fn end(mut child: Child) -> anyhow::Result<()> {
    let status = child.wait().context("cannot wait for cat")?;
    ensure!(status.success(), "cat ended with {status}");
    Ok(())
}
