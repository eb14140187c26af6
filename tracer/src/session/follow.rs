//! The traced processes, and the signals that are sent to them.

use std::{collections::BTreeSet, time::Duration};

use aya::maps::HashMap;
use tracer_common::{
    Ends, Socket, Task,
    flow::TracedProcess,
    signal::{Sent, Signal},
    window,
};

use super::{
    Session,
    error::{SessionError, map_error},
};

/// Flag in ids that userspace gives out; the kernel's programs give out the others.
const GIVEN_OUT_HERE: u32 = 1 << 31;

/// The time within which the signals to a process group are sent.
const AT_ONCE: Duration = Duration::from_millis(500);

/// The moment when a process starts to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// At its next `exec`.
    AtExec,
    /// At its marker, in a session of windows; see [`Purpose::Windows`](super::Purpose::Windows).
    AtMarker,
}

impl Session {
    /// Counts flows for a process as a whole, and for all its later children. Returns the id in its
    /// flows; none if it has ended.
    pub fn follow(&mut self, pid: u32, start: Start) -> Result<Option<u32>, SessionError> {
        self.followed += 1;
        let id = GIVEN_OUT_HERE | self.followed;
        let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        let mut process = TracedProcess { pid, thread: 0, owner: 0, name: [0; 16] };
        for (to, from) in process.name[..15].iter_mut().zip(name.trim_ascii_end()) {
            *to = *from;
        }
        self.map::<HashMap<_, u32, TracedProcess>>("PROCESSES")?
            .insert(id, process, 0)
            .map_err(|error| map_error("PROCESSES", error))?;
        let window = match start {
            Start::Now => window::OPEN,
            Start::AtExec => window::AT_EXEC,
            Start::AtMarker => window::CLOSED,
        };
        let Some(number) = self.kernel_number(pid)? else { return Ok(None) };
        self.map::<HashMap<_, u32, Task>>("TASKS")?
            .insert(number, Task::new(window, id, pid), 0)
            .map_err(|error| map_error("TASKS", error))?;
        if !is_alive(pid) {
            // If it ended before the entry was made, nothing else removes the entry; else it is gone
            // already.
            let _ = self.map::<HashMap<_, u32, Task>>("TASKS")?.remove(&number);
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Ids of the processes that are counted now, as users know them.
    pub fn followed(&mut self) -> Result<BTreeSet<u32>, SessionError> {
        let named = self.numbers.is_some();
        let tasks = self.map::<HashMap<_, u32, Task>>("TASKS")?;
        if named {
            return Ok(tasks.iter().flatten().map(|(_, task)| task.pid).collect());
        }
        Ok(tasks.keys().flatten().collect())
    }

    /// Stops counting for every process.
    pub fn unfollow(&mut self) -> Result<(), SessionError> {
        self.clear::<u32, Task>("TASKS")
    }

    /// Stops counting for every process, and for packets that the kernel still sends for one.
    pub fn close(&mut self) -> Result<(), SessionError> {
        self.unfollow()?;
        self.clear::<u64, Socket>("SOCKETS")?;
        self.clear::<Ends, u64>("SENDERS")
    }

    /// Whether `sender` has just sent a signal to a traced process.
    pub fn was_sent(&mut self, signal: Signal, sender: u32) -> Result<bool, SessionError> {
        let sent = self.map::<HashMap<_, Signal, Sent>>("SIGNALS")?.get(&signal, 0);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        Ok(sent.is_ok_and(|sent| {
            sent.sender == sender && now.saturating_sub(Duration::from_nanos(sent.at)) < AT_ONCE
        }))
    }
}

/// Whether userspace named a process, which has executed no other program since.
pub(super) fn is_given_out_here(process: u32) -> bool {
    process & GIVEN_OUT_HERE != 0
}

/// Whether one of a process's threads will still be seen to end.
fn is_alive(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.filter_map(|thread| std::fs::read(thread.path().join("stat")).ok());
    stats.any(|stat| !is_ending(&String::from_utf8_lossy(&stat)))
}

/// Whether a line of `/proc/PID/stat` is of a thread that is exiting. The flags are the seventh field
/// after the name, which may contain any character.
fn is_ending(stat: &str) -> bool {
    const PF_EXITING: u64 = 4;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags = fields.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_on_its_way_out_is_told_by_its_flags() {
        let stat = |flags: u32| format!("7 (a) b) S 1 7 7 0 -1 {flags} 82 0 0 0");
        assert!(!is_ending(&stat(0x40_4000)));
        assert!(is_ending(&stat(0x40_4004)));
        assert!(is_ending("what nobody can read"));
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(0));
    }
}
