//! Which processes are traced, and the flows of what they did since the last look.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aya::maps::{Array, HashMap};
use tracer_common::{
    Ends, Event, Key, Socket, Stacks, Tally, Task, call,
    flow::{Object, Process},
    operation,
    signal::{Sent, Signal},
    stack::Module,
    window,
};

use super::{
    Session,
    counts::{Counts, sum, total},
    error::{SessionError, map_error},
    movements::{copy_of, on_bus, seen, syscall_name},
    stacks::Sample,
    unexplained::Unexplained,
};
use crate::{naming::Names, witness::Plan};
use tracer_ledger::{
    Mover,
    flows::{
        self, Calls, Ledger, Operations, Traffic,
        derive::{BETWEEN, Witnesses},
        stacks::Seen,
    },
    merge,
};

/// Ids of processes that userspace gives out; the kernel's programs give out the others.
const GIVEN_OUT_HERE: u32 = 1 << 31;

/// Processes and objects with the ids they have in flows.
type Discovered = (Vec<(u32, Process)>, Vec<(u32, Object)>);

/// Signals to the processes of a group are sent within this time.
const AT_ONCE: Duration = Duration::from_millis(500);

/// When a process starts to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// When it runs another program.
    AtExec,
    /// At its marker, in a session of windows; see [`Purpose::Windows`](super::Purpose::Windows).
    AtMarker,
}

/// What was counted since the last look, by name.
#[derive(Debug, Default)]
pub struct Taken {
    /// The traffic of each flow.
    pub ledger: Ledger,
    /// Where copies were made, if that is asked for.
    pub samples: Vec<Sample>,
    /// And where machine code was mapped.
    pub modules: Vec<Module>,
    /// Bytes that breakpoints saw and call sites did not.
    pub unexplained: Unexplained,
    /// Events lost.
    pub lost: u64,
}

impl Session {
    /// Counts by flows for a process as a whole, and for every child it will have. Answers the id
    /// its flows will have; nothing if it has ended.
    pub fn follow(&mut self, pid: u32, start: Start) -> Result<Option<u32>, SessionError> {
        self.followed += 1;
        let id = GIVEN_OUT_HERE | self.followed;
        let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        let mut process = Process { pid, thread: 0, owner: 0, name: [0; 16] };
        for (to, from) in process.name[..15].iter_mut().zip(name.trim_ascii_end()) {
            *to = *from;
        }
        self.map::<HashMap<_, u32, Process>>("PROCESSES")?
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
            // If its end was before its entry, nobody else takes that out; else it is gone already.
            let _ = self.map::<HashMap<_, u32, Task>>("TASKS")?.remove(&number);
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Process ids, as users know them, that are counted for now.
    pub fn followed(&mut self) -> Result<BTreeSet<u32>, SessionError> {
        let named = self.numbers.is_some();
        let tasks = self.map::<HashMap<_, u32, Task>>("TASKS")?;
        if named {
            return Ok(tasks.iter().flatten().map(|(_, task)| task.pid).collect());
        }
        Ok(tasks.keys().flatten().collect())
    }

    /// Whether what is counted can be read.
    pub fn can_be_read(&mut self) -> bool {
        self.map::<Array<_, u32>>("EPOCH").is_ok_and(|map| map.get(&0, 0).is_ok())
    }

    /// Stops to count for every process.
    pub fn unfollow(&mut self) -> Result<(), SessionError> {
        self.clear::<u32, Task>("TASKS")
    }

    /// Stops to count for every process, and for what the kernel still sends for one.
    pub fn close(&mut self) -> Result<(), SessionError> {
        self.unfollow()?;
        self.clear::<u64, Socket>("SOCKETS")?;
        self.clear::<Ends, u64>("SENDERS")
    }

    /// What the plan's witnesses see.
    pub fn witnesses(&self) -> Witnesses {
        Witnesses { copies: !self.plan.sites.is_empty(), references: !self.plan.probes.is_empty() }
    }

    /// Takes what was counted since the last time, by name; counting goes on.
    pub fn take_flows(&mut self, names: &mut Names) -> Result<Taken, SessionError> {
        let (counts, samples) = self.drain()?;
        let modules = self.modules()?;
        // After the counters: what they count for was described before.
        let (processes, objects) = self.discover()?;
        names.learn(processes, objects);
        let mut taken = Taken { samples, modules, lost: counts.lost, ..Taken::default() };
        for (flow, counts) in counts.by_flow() {
            let traffic = observe(&counts, &self.plan);
            if self.verify {
                taken.unexplained.add(Unexplained::of(&counts, &self.plan));
            }
            flows::add(&mut taken.ledger, names.flow(flow), &traffic);
        }
        Ok(taken)
    }

    /// Whether a traced process was sent a signal by `sender` just now.
    pub fn was_sent(&mut self, signal: Signal, sender: u32) -> Result<bool, SessionError> {
        let sent = self.map::<HashMap<_, Signal, Sent>>("SIGNALS")?.get(&signal, 0);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        Ok(sent.is_ok_and(|sent| {
            sent.sender == sender && now.saturating_sub(Duration::from_nanos(sent.at)) < AT_ONCE
        }))
    }

    /// Takes what was counted since the last time; counting goes on. With stacks, also where.
    fn drain(&mut self) -> Result<(Counts, Vec<Sample>), SessionError> {
        let start = Instant::now();
        let epoch = self.next_epoch()?;
        let waited = start.elapsed();
        let counters = self.take(epoch)?;
        let (count, took) = (counters.len(), start.elapsed());
        log::debug!("{count} counters in {took:?}, of which {waited:?} for the programs to end");
        let samples = self.samples(epoch, &counters)?;
        let mut counts = Counts::new(self.verify);
        for (key, tally) in without_stacks(&counters) {
            counts.add(key, tally);
        }
        counts.lost = self.newly_lost()?;
        Ok((counts, samples))
    }

    /// Has everything from now on counted in the other epoch, and answers the one that is over.
    fn next_epoch(&mut self) -> Result<u32, SessionError> {
        let mut map = self.map::<Array<_, u32>>("EPOCH")?;
        let over = map.get(&0, 0).map_err(|error| map_error("EPOCH", error))?;
        map.set(0, over ^ 1, 0).map_err(|error| map_error("EPOCH", error))?;
        wait_for_programs();
        Ok(over)
    }

    /// The processes and objects that are new since the last time.
    fn discover(&mut self) -> Result<Discovered, SessionError> {
        Ok((self.take_all("PROCESSES")?, self.take_all("OBJECTS")?))
    }
}

/// Whether one of a process's threads will still be seen to end.
fn is_alive(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.filter_map(|thread| std::fs::read(thread.path().join("stat")).ok());
    stats.any(|stat| !is_ending(&String::from_utf8_lossy(&stat)))
}

/// Whether a line of `/proc/PID/stat` is of a thread on its way out. The flags are the seventh
/// field after the name, which may have anything in it.
fn is_ending(stat: &str) -> bool {
    const PF_EXITING: u64 = 4;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags = fields.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

/// The counters, whatever the stacks.
fn without_stacks(counters: &[(Key, Tally)]) -> BTreeMap<Key, Tally> {
    let mut sums: BTreeMap<Key, Tally> = BTreeMap::new();
    for (key, tally) in counters {
        let sum = sums.entry(Key { stacks: Stacks::NONE, ..*key }).or_default();
        *sum = total([*sum, *tally].iter());
    }
    sums
}

/// What was counted for one flow, as its traffic.
pub fn observe(counts: &Counts, plan: &Plan) -> Traffic {
    let of = |event| counts.total(event);
    let mut traffic = Traffic {
        page_faults_user: of(Event::FaultUser).calls,
        page_faults_kernel: of(Event::FaultKernel).calls,
        switches_voluntary: of(Event::SwitchVoluntary).calls,
        switches_involuntary: of(Event::SwitchInvoluntary).calls,
        nic_header_bytes: on_bus(counts, Event::NicHeader).bytes,
        nic_retransmitted_bytes: on_bus(counts, Event::NicRetransmit).bytes,
        disk_metadata_bytes: of(Event::DiskMetadata).bytes,
        movements: merge(&seen(counts, plan)),
        ..Traffic::default()
    };
    for (key, tally) in counts.of(Event::Syscall) {
        let calls = traffic.calls.entry(syscall_name(key.detail)).or_default();
        calls.count += tally.calls;
        calls.bytes += tally.bytes;
    }
    let bytes_where = |is_wanted: &dyn Fn(u8) -> bool| {
        sum(counts.of(Event::Syscall).filter(|(key, _)| is_wanted(key.kind))).bytes
    };
    let of_kind = |kind: u8| bytes_where(&|it| it & !call::BESIDES == kind);
    let besides = |flag: u8| bytes_where(&|it| it & flag != 0);
    let spent = of(Event::Syscall).spent;
    (traffic.cpu_time_ns, traffic.cpu_cycles) = (spent.time, spent.cycles);
    // What goes from memory to memory is in no flow.
    let flowing = traffic.calls.iter().filter(|(name, _)| !BETWEEN.contains(&name.as_str()));
    traffic.payload_bytes = flowing.map(|(_, calls)| calls.bytes).sum();
    traffic.mapped_bytes = of_kind(call::FROM_MAPPING);
    traffic.linked_bytes = of_kind(call::LINKED);
    traffic.tls_bytes = of_kind(call::TLS);
    traffic.zero_copy_bytes = besides(call::ZERO_COPY);
    traffic.direct_bytes = besides(call::DIRECT);
    traffic.upper_bytes = besides(call::UPPER);
    let linear = of(Event::NicLinear);
    (traffic.linear_bytes, traffic.linear_packets) = (linear.bytes, linear.calls);
    traffic.operations = operations(counts);
    traffic
}

/// `IORING_OP_…` of `linux/io_uring.h`: those that move bytes.
const OPERATIONS: &[(u32, &str)] = &[
    (1, "READV"),
    (2, "WRITEV"),
    (4, "READ_FIXED"),
    (5, "WRITE_FIXED"),
    (9, "SENDMSG"),
    (10, "RECVMSG"),
    (22, "READ"),
    (23, "WRITE"),
    (26, "SEND"),
    (27, "RECV"),
    (30, "SPLICE"),
    (33, "TEE"),
    (47, "SEND_ZC"),
    (48, "SENDMSG_ZC"),
];

fn operations(counts: &Counts) -> Vec<Operations> {
    let named = counts.of(Event::IoUring).filter_map(|(key, tally)| {
        let (_, name) = OPERATIONS.iter().find(|(code, _)| *code == key.detail)?;
        Some(Operations {
            name: (*name).to_owned(),
            on_socket: key.kind == operation::ON_SOCKET,
            calls: Calls { count: tally.calls, bytes: tally.bytes },
        })
    });
    named.collect()
}

/// What was counted under a key with a stack, if it is one of those that stacks are taken for.
pub fn sighting(key: &Key, plan: &Plan) -> Option<Seen> {
    if key.event == Event::Syscall as u8 {
        return Some(Seen::Call(syscall_name(key.detail)));
    }
    let ((from, to, by), routine) = copy_of(key, plan)?;
    (by == Mover::Cpu).then(|| Seen::Copy { from, to, routine: routine.to_owned() })
}

/// Waits until every program that runs now is done: they run under RCU.
fn wait_for_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;
    // SAFETY: the call has no pointers. Where it is refused, the few events that programs are
    // counting at this moment are read with the next epoch but one.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
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
