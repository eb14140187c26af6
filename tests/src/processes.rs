//! The processes that a check has started, and their descendants.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

/// A process, as `/proc/PID/stat` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// `R`, `S`, `D`, `Z` and so on.
    pub state: char,
    /// The device number of its terminal; 0 if it has none.
    pub terminal: i64,
}

impl ProcessStatus {
    /// A process that exists, if only as a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: u32, stat: &str) -> Option<Self> {
        // After the name, which may have blanks: state, parent, group, session, terminal.
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let terminal = fields.nth(2)?.parse().ok()?;
        Some(Self { pid, parent, state, terminal })
    }

    /// Its command line, and its state.
    fn describe(&self) -> String {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap_or_default()
        };
        let command: String = read("cmdline").replace('\0', " ").chars().take(120).collect();
        format!("{} {} ({} in {})", self.pid, command.trim_end(), self.state, read("wchan"))
    }
}

/// Adopts the orphans of processes that end, so that none escapes.
pub fn adopt_orphans() -> Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// All descendants of this process that have not ended.
pub fn descendants() -> Vec<ProcessStatus> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    of(std::process::id(), pids.filter_map(ProcessStatus::of).collect())
}

fn of(ancestor: u32, all: Vec<ProcessStatus>) -> Vec<ProcessStatus> {
    let mut children: BTreeMap<u32, Vec<ProcessStatus>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let (mut found, mut parents) = (Vec::new(), vec![ancestor]);
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found.retain(|process| !['Z', 'X'].contains(&process.state));
    found
}

/// The processes' command lines and states, one a line.
pub fn describe(processes: &[ProcessStatus]) -> String {
    processes.iter().map(ProcessStatus::describe).collect::<Vec<_>>().join("\n")
}

/// Kills all descendants, and those that they start meanwhile.
pub fn kill_descendants() {
    let mut killed = BTreeSet::new();
    loop {
        let new: Vec<_> =
            descendants().into_iter().filter(|process| killed.insert(process.pid)).collect();
        if new.is_empty() {
            return;
        }
        for process in new {
            if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
                // It may have ended already.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Collects the exit statuses of adopted children. Nothing else may wait for a child afterwards.
pub fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, state: char) -> ProcessStatus {
        ProcessStatus { pid, parent, state, terminal: 0 }
    }

    #[test]
    fn a_name_may_have_anything_in_it() {
        let stat = "7 (a) S 1 (b) S 5 7 7 34816 7 4194304 99";
        let known = ProcessStatus { pid: 7, parent: 5, state: 'S', terminal: 34816 };
        assert_eq!(ProcessStatus::parse(7, stat), Some(known));
    }

    #[test]
    fn only_descendants_that_live_are_found() {
        let all = vec![
            process(2, 1, 'S'),
            process(3, 2, 'Z'),
            process(4, 2, 'R'),
            process(5, 4, 'D'),
            process(9, 8, 'S'),
        ];
        assert_eq!(of(1, all), [process(2, 1, 'S'), process(4, 2, 'R'), process(5, 4, 'D')]);
    }
}
