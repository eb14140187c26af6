//! The processes to attach to.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use tracer::session::{Comm, Wanted, cgroup_id, in_pid_namespace};
use tracer_ledger::Warning;

use super::{
    container::{self, Containers},
    recorder::TICK_MS,
};

/// The targets that the user named.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// Trace these processes, with their threads and later children
    #[arg(short, long = "pid", value_name = "PID", num_args = 1.., value_delimiter = ',')]
    pids: Vec<u32>,
    /// Trace every process in this control group and below, also those that enter it later
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Trace every process of this name, also those that start later
    #[arg(long, value_name = "NAME")]
    comm: Option<String>,
    /// Trace every process in this container: its name, its id, or a prefix of the id
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// Trace every process of the system, or of copytrace's PID namespace, except copytrace itself
    #[arg(short, long)]
    all: bool,
}

impl Target {
    /// The target with threads replaced by their processes, and the container by its full name; with
    /// notes for the user.
    pub fn resolve(&self) -> anyhow::Result<(Self, Vec<String>)> {
        let (mut resolved, mut notes) = (self.clone(), Vec::new());
        for pid in &mut resolved.pids {
            if let Some(process) = process_of(*pid).filter(|process| process != pid) {
                notes.push(format!(
                    "copytrace: {pid} is a thread of process {process}, all of which is traced; --per \
                     thread tells them apart"
                ));
                *pid = process;
            }
        }
        if let Some(container) = &mut resolved.container {
            *container = Containers::find(matching(|_| true)).resolve(container)?;
        }
        Ok((resolved, notes))
    }

    /// The target in words, for a report.
    pub fn name(&self) -> String {
        match self {
            Self { cgroup: Some(path), .. } => format!("control group {}", path.display()),
            Self { comm: Some(name), .. } => format!("processes called {name}"),
            Self { container: Some(id), .. } => format!("container {id}"),
            Self { all: true, .. } if in_pid_namespace() => {
                "all processes of this PID namespace, and none outside".to_owned()
            }
            Self { all: true, .. } => "the whole system".to_owned(),
            Self { pids, .. } => {
                let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
                format!("process {}", pids.join(", "))
            }
        }
    }

    /// The folder of the control group.
    fn folder(&self) -> Option<PathBuf> {
        match (&self.cgroup, &self.container) {
            (Some(path), _) => Some(control_group(path)),
            (None, Some(container)) => container::control_group(container, matching(|_| true)),
            (None, None) => None,
        }
    }

    /// A warning about processes that are found only by polling, if there can be any. `stacks`: stacks
    /// are taken.
    pub fn blind_spot(&self, stacks: bool) -> Option<Warning> {
        let is_second = cgroup_id(&self.folder()?).is_some();
        let (who, why) = match (is_second, stacks) {
            (true, false) => return None,
            (true, true) => ("is moved into", "--stacks is given"),
            (false, _) => ("is moved into, or starts in,", "it is one of version 1"),
        };
        let (who, reason) = (who.to_owned(), why.to_owned());
        Some(Warning::FoundByLooking { every_ms: TICK_MS, who, reason })
    }

    /// The programs to trace from their start.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            comm: self.comm.as_deref().map(Comm::of),
            cgroup: self.folder().as_deref().and_then(cgroup_id),
            all: self.all,
            signals: false,
        }
    }

    /// A note on a target without a process, if that may be a mistake.
    pub fn nobody_yet(&self) -> Option<String> {
        let name = self.comm.as_deref()?;
        Some(format!(
            "copytrace: no process is called {name} now, and those that start will be traced; names are \
             exact, as `ps -o comm` has them"
        ))
    }

    /// Whether processes can join later that are not children of traced ones.
    pub fn can_grow(&self) -> bool {
        self.pids.is_empty()
    }

    /// The current processes. An invalid target is an error.
    pub fn processes(&self) -> anyhow::Result<BTreeSet<u32>> {
        match self {
            Self { cgroup: Some(path), .. } => in_control_group(path),
            Self { comm: Some(name), .. } => Ok(matching(|pid| is_called(pid, name))),
            Self { container: Some(container), .. } => {
                Ok(Containers::find(matching(|_| true)).processes(container))
            }
            Self { all: true, .. } => Ok(matching(has_memory)),
            Self { pids, .. } => Ok(pids.iter().copied().filter(|pid| exists(*pid)).collect()),
        }
    }

    /// Running children of named processes that are not named themselves.
    pub fn children_left_out(&self, traced: &BTreeSet<u32>) -> BTreeSet<u32> {
        if self.can_grow() {
            return BTreeSet::new();
        }
        let is_child = |pid| parent(pid).is_some_and(|parent| traced.contains(&parent));
        matching(|pid| is_child(pid) && !traced.contains(&pid))
    }

    /// As [`Self::processes`], at the start: the target must exist.
    pub fn first(&self) -> anyhow::Result<BTreeSet<u32>> {
        let found = self.processes()?;
        if let Some(missing) = self.pids.iter().find(|pid| !found.contains(pid)) {
            bail!("there is no process {missing}: see `ps`, or use --comm");
        }
        Ok(found)
    }
}

fn parent(pid: u32) -> Option<u32> {
    parent_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The field after the name, which may have blanks and brackets, and after the state.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The process of a thread.
fn process_of(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}/stat")).unwrap_or(false)
}

fn matching(wanted: impl Fn(u32) -> bool) -> BTreeSet<u32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own && wanted(*pid))
        .collect()
}

/// Kernel threads have none, and make no system calls.
fn has_memory(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("VmSize:"))
}

fn is_called(pid: u32, name: &str) -> bool {
    let comm = fs::read(format!("/proc/{pid}/comm"));
    comm.is_ok_and(|comm| comm.trim_ascii_end() == Comm::of(name).bytes())
}

/// The folder of a control group. The path may begin at the root of the control groups, as in
/// systemd-cgls.
fn control_group(path: &Path) -> PathBuf {
    let under = PathBuf::from("/sys/fs/cgroup").join(path.strip_prefix("/").unwrap_or(path));
    if path.join("cgroup.procs").exists() { path.to_path_buf() } else { under }
}

fn in_control_group(path: &Path) -> anyhow::Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![control_group(path)];
    let mut first = true;
    while let Some(folder) = folders.pop() {
        match fs::read_to_string(folder.join("cgroup.procs")) {
            Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
            Err(error) if first => {
                return Err(error).with_context(|| {
                    format!("{} is no control group; see `systemd-cgls`", folder.display())
                });
            }
            // It ended meanwhile, or has threads only.
            Err(_) => {}
        }
        first = false;
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    found.remove(&std::process::id());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_one_of_a_process() {
        let own = std::process::id();
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        assert_ne!(thread, own);
        assert_eq!((process_of(thread), process_of(own)), (Some(own), Some(own)));
    }

    #[test]
    fn a_name_has_fifteen_bytes() {
        assert_eq!(Comm::of("dd").bytes(), b"dd");
        assert_eq!(Comm::of("systemd-journald").bytes(), b"systemd-journal");
    }

    #[test]
    fn a_parent_is_found_after_any_name() {
        assert_eq!(parent_in("7 (a) (b c) S 42 7 7 0"), Some(42));
        assert_eq!(parent_in("7 (sh"), None);
    }
}
