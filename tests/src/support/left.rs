//! Probes and programs attached in the kernel, by its own lists: none of copytrace's may stay there after
//! its end, however it ended.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::check::{Context, Tier};
use crate::pace;
use xtask::command;

/// The kernel detaches probes some time after their last descriptor is closed: within these seconds of
/// the usual machine.
const TO_DETACH: u64 = 30;

/// Lists of attached functions, below `/sys/kernel`.
const LISTS: [&str; 4] = [
    "debug/kprobes/list",
    "tracing/enabled_functions",
    "tracing/kprobe_events",
    "tracing/uprobe_events",
];

/// The state before a check.
pub struct Before {
    programs: BTreeSet<u32>,
    probes: Vec<String>,
}

impl Before {
    /// Records the state. Where functions can be probed, the lists of probes must exist.
    pub fn new(context: &Context) -> Result<Self> {
        if context.tier != Tier::Tracepoint {
            mount("debugfs", "/sys/kernel/debug", "kprobes/list")?;
            mount("tracefs", "/sys/kernel/tracing", "enabled_functions")?;
        }
        Ok(Self { programs: all_programs(), probes: probes() })
    }

    /// Nothing new is attached: no probe, and no program without a process that holds it.
    pub fn check(&self) -> Result<()> {
        let limit = Instant::now() + pace::seconds(TO_DETACH);
        loop {
            let left = self.left();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < limit, "left behind: {}", left.join(", "));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The programs loaded since then.
    pub fn new_programs(&self) -> Vec<u32> {
        let is_tracing = |id: &u32| kind(*id).is_some_and(|kind| TRACING.contains(&kind));
        all_programs().difference(&self.programs).copied().filter(is_tracing).collect()
    }

    fn left(&self) -> Vec<String> {
        let new = self.new_programs();
        let held = held_programs();
        let programs = new.into_iter().filter(|id| !held.contains(id));
        let programs = programs.map(|id| format!("the eBPF program {id}"));
        let probes = probes().into_iter().filter(|probe| !self.probes.contains(probe));
        programs.chain(probes).collect()
    }
}

fn mount(kind: &str, place: &str, has: &str) -> Result<()> {
    if !Path::new(place).join(has).exists() {
        command::run(Command::new("mount").args(["-t", kind, "none", place]))?;
    }
    Ok(())
}

fn probes() -> Vec<String> {
    let lists = LISTS.iter().filter_map(|list| {
        let text = std::fs::read_to_string(Path::new("/sys/kernel").join(list)).ok()?;
        // The count of hits is not a part of the probe.
        Some(text.lines().map(|line| format!("{list}: {line}")).collect::<Vec<_>>())
    });
    lists.flatten().collect()
}

/// `enum bpf_prog_type`: kprobe, tracepoint, perf event, raw tracepoint, tracing.
const TRACING: [u32; 5] = [2, 5, 7, 17, 26];
/// `enum bpf_cmd`
const BPF_PROG_GET_NEXT_ID: libc::c_int = 11;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;

/// The beginning of `union bpf_attr` for both commands: an id, and the field for the next one.
#[repr(C)]
struct Ids {
    id: u32,
    next: u32,
    flags: u32,
}

fn bpf(command: libc::c_int, ids: &mut Ids) -> i64 {
    // SAFETY: the kernel reads and writes as many bytes as given, which `ids` has.
    unsafe { libc::syscall(libc::SYS_bpf, command, ids, size_of::<Ids>()) }
}

fn all_programs() -> BTreeSet<u32> {
    let mut ids = Ids { id: 0, next: 0, flags: 0 };
    let next = || {
        (bpf(BPF_PROG_GET_NEXT_ID, &mut ids) == 0).then(|| {
            ids.id = ids.next;
            ids.next
        })
    };
    std::iter::from_fn(next).collect()
}

/// Its type; none if it is gone.
fn kind(id: u32) -> Option<u32> {
    let fd = bpf(BPF_PROG_GET_FD_BY_ID, &mut Ids { id, next: 0, flags: 0 });
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just returned it, and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    field(&text, "prog_type:")
}

/// The programs that some process holds by a descriptor, of the program itself or of a link.
fn held_programs() -> BTreeSet<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let infos = processes
        .filter_map(|process| std::fs::read_dir(process.path().join("fdinfo")).ok())
        .flat_map(|infos| infos.flatten());
    let texts = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
    texts.filter_map(|text| field(&text, "prog_id:")).collect()
}

fn field(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
