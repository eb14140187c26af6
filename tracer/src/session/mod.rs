//! A session: the programs in the kernel, the processes they count for, and what they counted.

mod attach;
mod batch;
mod bpf;
mod counters;
mod counts;
mod diagnostics;
pub mod flows;
#[cfg(test)]
mod hostile;
mod mapped;
mod memory;
mod misses;
mod movements;
pub mod names;
mod numbers;
mod object;
mod perf_map;
mod refusal;
pub mod stacks;
pub mod symbols;
pub mod trial;
mod unexplained;
mod verifier;

use std::{
    collections::BTreeMap,
    ffi::CString,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    thread::{self, JoinHandle},
    time::Instant,
};

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap};
use tracer_common::{ABSENT, Key, NO_ITERATOR, Options, Site, Tally, flow, id, stack};

use attach::Link;
use counters::Counters;
use numbers::Numbers;
use object::{Object, Room, Setup};

pub use counts::Counts;
pub use memory::Memory;
pub use refusal::Refusal;
pub use unexplained::{Functions, Unexplained};
pub use verifier::{Cost, costs};

use crate::{
    kernel::Allocation,
    witness::{
        Plan,
        catalogue::{Need, TracepointWitness},
        layout::{Subject, Unknown},
        sites::CallSite,
    },
};
use tracer_ledger::flows::Detail;

/// Why a session could not be started or read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// `COPYTRACE_EBPF_OBJECT=none`, for lints and unit tests.
    #[error(
        "this copytrace was built without its eBPF programs (COPYTRACE_EBPF_OBJECT=none) and can \
         measure nothing; build it with `cargo xtask build`"
    )]
    NoPrograms,
    /// What was built is no eBPF object that this program can use.
    #[error("the eBPF object is broken: {0}; build copytrace again with `cargo xtask build`")]
    Object(Refusal),
    /// The kernel refused a program.
    #[error("cannot load the eBPF program {program}: {error}")]
    Program {
        /// Its name.
        program: String,
        /// What the kernel said.
        error: Refusal,
    },
    /// The kernel refused to attach a program.
    #[error("cannot attach to {target}: {error}")]
    Attach {
        /// Function, tracepoint or address.
        target: String,
        /// What the kernel said.
        error: Refusal,
    },
    /// Processes cannot be told by the numbers that users know them by.
    #[error("cannot find out which processes run in this PID namespace: {0}")]
    Numbers(io::Error),
    /// A map could not be read or written.
    #[error("cannot use the eBPF map {map}: {error}")]
    Map {
        /// Its name.
        map: String,
        /// What the kernel said.
        error: Refusal,
    },
}

impl SessionError {
    /// The kernel's number of the error, if it is the kernel's.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NoPrograms => None,
            Self::Numbers(error) => error.raw_os_error(),
            Self::Object(error)
            | Self::Program { error, .. }
            | Self::Attach { error, .. }
            | Self::Map { error, .. } => error.errno(),
        }
    }
}

/// Programs attached to the kernel. Dropping it detaches them all.
pub struct Session {
    object: Object,
    plan: Plan,
    links: Vec<Link>,
    /// What waits for the kernel to detach, once nothing is counted any more.
    detaching: Option<JoinHandle<()>>,
    verify: bool,
    purpose: Purpose,
    options: Options,
    /// Lost events that were reported already.
    lost: u64,
    /// How many processes were given an id here.
    followed: u32,
    /// In a PID namespace.
    numbers: Option<Numbers>,
    /// Calls to copy routines that took no probe.
    refused: Vec<String>,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Flows of the bundled programs, which open and close the window in which they are counted.
    Windows,
    /// Flows of any program.
    Flows {
        /// What is told apart besides processes and objects.
        detail: Detail,
        /// Take stacks of the copies.
        stacks: bool,
        /// What is looked for besides.
        wanted: Wanted,
        /// How many times less room the maps have than usual.
        scarcity: u32,
    },
}

/// What is looked for besides what the traced processes move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Programs of this name, which are traced from when they start, whoever starts them.
    pub comm: Option<Comm>,
    /// Likewise, programs in the control group of this id, or below it; see [`cgroup_id`].
    pub cgroup: Option<u64>,
    /// Likewise, all programs.
    pub all: bool,
    /// Signals that the traced processes are sent.
    pub signals: bool,
}

/// The kernel's id of a control group: the inode of its folder. Nothing if that is in no hierarchy of
/// version 2.
pub fn cgroup_id(folder: &Path) -> Option<u64> {
    /// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
    const CGROUP2: i64 = 0x6367_7270;
    let is_second = rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == CGROUP2);
    is_second.then(|| Some(std::fs::metadata(folder).ok()?.ino())).flatten()
}

/// A program's name as the kernel has it: the first 15 bytes, and zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    /// The name of a program that is called so.
    pub fn of(name: &str) -> Self {
        let mut comm = [0; 16];
        comm.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
        Self(comm)
    }

    /// The name without the zeros.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// As programs compare it.
    fn words(&self) -> [u32; 4] {
        let word = |index: usize| [0, 1, 2, 3].map(|byte| self.0[4 * index + byte]);
        [0, 1, 2, 3].map(|index| u32::from_ne_bytes(word(index)))
    }
}

impl Purpose {
    /// The same with so many times less room.
    pub fn with_scarcity(self, scarcity: u32) -> Self {
        match self {
            Self::Windows => self,
            Self::Flows { detail, stacks, wanted, .. } => {
                Self::Flows { detail, stacks, wanted, scarcity }
            }
        }
    }

    fn options(self, plan: &Plan, cycles: &Counters) -> Result<Options, SessionError> {
        let of_any = Options {
            twins: u32::from(plan.preemption.is_some()),
            namespace: numbers::namespace().map_err(SessionError::Numbers)?.unwrap_or(0),
            cpu_bits: id::cpu_bits(cpus()? as u32),
            ..Options::default()
        };
        let Self::Flows { detail, stacks, wanted, .. } = self else {
            return Ok(Options { windows: 1, ..of_any });
        };
        let detail = match detail {
            Detail::Process => flow::Detail::PROCESSES,
            Detail::Thread => flow::Detail::THREADS,
            Detail::Descriptor => flow::Detail::DESCRIPTORS,
        };
        let stacks = match stacks {
            false => stack::NEVER,
            true if plan.sites.is_empty() => stack::AT_CALLS,
            true => stack::AT_COPIES,
        };
        Ok(Options {
            stacks,
            detail,
            times: 1,
            cycles: u32::from(!cycles.is_empty()),
            skip_virtual: u32::from(plan.sites.is_empty() && plan.probes.is_empty()),
            comm: wanted.comm.map_or([0; 4], |comm| comm.words()),
            cgroup: wanted.cgroup.map_or([0; 2], |id| [id as u32, (id >> 32) as u32]),
            all: u32::from(wanted.all),
            ..of_any
        })
    }
}

impl<'a> Setup<'a> {
    fn new(plan: &'a Plan, options: &'a Options, room: &'a Room) -> Self {
        Self {
            globals: [("LAYOUT", bytes_of(&plan.layout)), ("OPTIONS", bytes_of(options))],
            room,
            without_callbacks: plan.layout.helper_find_vma == ABSENT,
            preemption: plan.preemption,
        }
    }
}

/// How much room the maps need for stacks, in entries, and in bytes for what programs mapped.
const ROOM_FOR_STACKS: &[(&str, u32)] =
    &[("STACKS_EVEN", stack::MOST), ("STACKS_ODD", stack::MOST), ("MODULES", 1 << 20)];

/// How much room the maps need for [`Purpose::Flows`], in entries.
const ROOM: &[(&str, u32)] = &[
    ("TASKS", 32_768),
    ("SOCKETS", 65_536),
    ("SENDERS", 65_536),
    ("CURRENT", 65_536),
    ("LAST_READS", 32_768),
    ("IDENTITIES", 32_768),
    ("OBJECTS", 20_480),
    ("PROCESSES", 32_768),
];

/// And for [`Purpose::Windows`].
const ROOM_FOR_WINDOWS: &[(&str, u32)] = &[
    ("CURRENT", 4096),
    ("LAST_READS", 1024),
    ("IDENTITIES", 4096),
    ("OBJECTS", 4096),
    ("PROCESSES", 1024),
];

/// And where threads are told apart.
const ROOM_FOR_THREADS: &[(&str, u32)] = &[("THREADS", 65_536)];

/// The counters of each epoch: there is room for so many of each CPU, as long as there are few CPUs. Of
/// many, no program runs on all.
const COUNTERS: [&str; 2] = ["COUNTS_EVEN", "COUNTS_ODD"];
const COUNTERS_OF_A_CPU: usize = 65_536;
const FEW_CPUS: usize = 8;

/// How many counters there is room for with so many CPUs.
fn room_for_counters(cpus: usize) -> u32 {
    (COUNTERS_OF_A_CPU * cpus.min(FEW_CPUS)) as u32
}

/// Where all entries are allocated beforehand, there is room for so many times fewer.
const SCARCITY: u32 = 4;

/// How much room the maps have with so many CPUs.
fn room(purpose: Purpose, cpus: usize, allocation: Allocation) -> Room {
    let Purpose::Flows { detail, stacks, scarcity, .. } = purpose else {
        return Room { entries: ROOM_FOR_WINDOWS.iter().copied().collect(), allocation };
    };
    let counters = COUNTERS.map(|map| (map, room_for_counters(cpus)));
    let threads = if detail == Detail::Thread { ROOM_FOR_THREADS } else { &[] };
    let plentiful = counters.into_iter().chain(ROOM.iter().chain(threads).copied());
    let divisor = match allocation {
        Allocation::OnDemand => scarcity,
        Allocation::Beforehand => SCARCITY * scarcity,
    };
    let stacks = if stacks { ROOM_FOR_STACKS } else { &[] };
    let entries = plentiful.map(|(map, entries)| (map, entries / divisor));
    Room { entries: entries.chain(stacks.iter().copied()).collect(), allocation }
}

/// Whether this process runs in a PID namespace, from which processes outside are not seen.
pub fn in_pid_namespace() -> bool {
    numbers::namespace().is_ok_and(|namespace| namespace.is_some())
}

/// What the maps take with the CPUs of this machine.
pub fn memory(purpose: Purpose, allocation: Allocation) -> Result<Memory, SessionError> {
    let cpus = cpus()?;
    object::memory(&room(purpose, cpus, allocation), cpus)
}

/// And what each CPU more would add at rest, in bytes, if there were twice as many.
pub fn memory_of_a_cpu(purpose: Purpose, allocation: Allocation) -> Result<u64, SessionError> {
    let cpus = cpus()?;
    let at_rest = |cpus| object::memory(&room(purpose, cpus, allocation), cpus);
    Ok((at_rest(2 * cpus)?.at_rest - at_rest(cpus)?.at_rest) / cpus as u64)
}

impl Session {
    /// Loads the programs a plan names and attaches them; with `verify`, hardware breakpoints too.
    pub fn start(plan: Plan, purpose: Purpose, verify: bool) -> Result<Self, SessionError> {
        let cycles = match purpose {
            Purpose::Windows => Counters::none(),
            Purpose::Flows { .. } => Counters::of_cycles(),
        };
        let options = purpose.options(&plan, &cycles)?;
        let start = Instant::now();
        let room = room(purpose, cpus()?, plan.allocation);
        let setup = Setup::new(&plan, &options, &room);
        let tracepoints = tracepoints(&plan, purpose);
        let mut programs = wanted(&plan, purpose, &tracepoints, verify);
        if options.namespace != 0 {
            programs
                .push(object::Wanted { program: numbers::PROGRAM, function: plan.task_iterator });
        }
        let object = Object::load(&setup, &programs)?;
        let loaded = start.elapsed();
        let mut session = Self {
            object,
            plan,
            links: Vec::new(),
            detaching: None,
            verify,
            purpose,
            options,
            lost: 0,
            followed: 0,
            numbers: None,
            refused: Vec::new(),
        };
        session.tell_numbers()?;
        session.tell_sites()?;
        session.tell_counters(cycles)?;
        session.attach_sites()?;
        session.attach_functions()?;
        if verify {
            session.attach_breakpoints()?;
        }
        session.attach_tracepoints(&tracepoints)?;
        log::info!(
            "attached {} call sites, {} functions and {} tracepoints in {:?}, of which {loaded:?} \
             to load the programs",
            session.plan.sites.len(),
            session.plan.probes.len(),
            tracepoints.len(),
            start.elapsed()
        );
        Ok(session)
    }

    /// What is attached.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the kernel did not let be attached, and what is not seen for it.
    pub fn unseen(&self) -> Vec<String> {
        let refused = self.refused.iter();
        let refused = refused.map(|error| format!("{error}: what is copied there is not seen"));
        let has_sites = !self.plan.sites.is_empty();
        let concerns = |subject| match subject {
            Subject::IoUring => !has_sites,
            // A window follows the calls of mmap().
            Subject::Mappings => self.purpose != Purpose::Windows,
            Subject::PidNamespaces => self.options.namespace != 0,
            Subject::ControlGroups => self.options.cgroup != [0; 2],
            _ => true,
        };
        let unknown = self.plan.unknown.iter().filter(|unknown| concerns(unknown.subject));
        refused.chain(unknown.map(Unknown::consequence)).collect()
    }

    /// Passes on what the programs say of themselves to the log. Needs a tokio runtime.
    pub fn log(&mut self) -> Result<(), SessionError> {
        diagnostics::forward(&self.object)
    }

    /// Counts what processes that run this very program copy themselves, in a function of it whose
    /// third argument is a count of bytes, as `memcpy` has it.
    pub fn watch_user_copies(
        &mut self,
        function: unsafe extern "C" fn(*mut u8, *const u8, usize),
    ) -> Result<(), SessionError> {
        let place =
            mapped::place_of(function as usize as u64).map_err(|error| SessionError::Attach {
                target: "the function that copies in user space".to_owned(),
                error: error.into(),
            })?;
        let program = self.program("user_copy")?;
        let event = attach::in_file(program, &place.file, place.offset).map_err(|error| {
            SessionError::Attach {
                target: format!("{:#x} in {}", place.offset, place.file.display()),
                error: error.into(),
            }
        })?;
        self.links.push(Link::event(event));
        Ok(())
    }

    /// Begins to detach everything: what was counted can still be taken. The kernel takes a second for
    /// it, in which the report is made.
    pub fn detach(&mut self) {
        let links = std::mem::take(&mut self.links);
        if !links.is_empty() {
            self.detaching = Some(thread::spawn(move || attach::detach(links)));
        }
    }

    /// The counters of an epoch that is over, with their sums over the CPUs.
    fn take(&mut self, epoch: u32) -> Result<Vec<(Key, Tally)>, SessionError> {
        let maps = match epoch {
            0 => ["COUNTS_EVEN", "OVERFLOW_EVEN"],
            _ => ["COUNTS_ODD", "OVERFLOW_ODD"],
        };
        let mut counters = Sums::default();
        for (counter, tally) in self.take_all(maps[0])? {
            add(&mut counters, counter, &tally);
        }
        self.take_overflow(maps[1], &mut counters)?;
        Ok(counters.into_iter().collect())
    }

    /// Empties a map: many entries at once if it is well filled, else one by one.
    fn take_all<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<(K, V)>, SessionError> {
        let mut map = self.map::<HashMap<_, K, V>>(name)?;
        let keys: Vec<K> = map.keys().flatten().collect();
        if keys.len() >= batch::FEWEST {
            let Some(Map::HashMap(map)) = self.object.map(name) else {
                return Err(map_error(name, "not in the object"));
            };
            // SAFETY: aya compared both lengths with the map's.
            let all = unsafe { batch::take(map.fd().as_fd()) };
            return all.map_err(|error| map_error(name, error));
        }
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            // A key can come twice if others are added.
            let Ok(value) = map.get(&key, 0) else { continue };
            taken.push((key, value));
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(taken)
    }

    /// Empties a map of what found no counter.
    fn take_overflow(&mut self, name: &'static str, sums: &mut Sums) -> Result<(), SessionError> {
        let mut map = self.map::<PerCpuHashMap<_, Key, Tally>>(name)?;
        let keys: Vec<Key> = map.keys().flatten().collect();
        for key in keys {
            let Ok(values) = map.get(&key, 0) else { continue };
            values.iter().for_each(|tally| add(sums, key, tally));
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(())
    }

    /// Events lost since the last time.
    fn newly_lost(&mut self) -> Result<u64, SessionError> {
        let lost = self.lost()?.max(self.lost);
        let before = std::mem::replace(&mut self.lost, lost);
        Ok(lost - before)
    }

    /// Events lost since the session began.
    fn lost(&mut self) -> Result<u64, SessionError> {
        let lost = self.map::<PerCpuArray<_, u64>>("LOST")?;
        let lost = lost.get(&0, 0).map_err(|error| map_error("LOST", error))?;
        let given_up = lost.iter().sum::<u64>();
        let skipped = self.skipped();
        log::debug!("lost until now: {given_up} that programs gave up; not run were {skipped:?}");
        let unseen = skipped.iter().filter(|(program, _)| !self.has_twin(program));
        let unseen: u64 = unseen.map(|(_, times)| times).sum();
        // After that: what a twin took over was skipped before.
        let taken_over = self.map::<PerCpuArray<_, u64>>("TAKEN_OVER")?.get(&0, 0);
        let taken_over = taken_over.map_err(|error| map_error("TAKEN_OVER", error))?;
        Ok(given_up + unseen.saturating_sub(taken_over.iter().sum::<u64>()))
    }

    /// How often the kernel could not run a program, of those that it happened to.
    fn skipped(&self) -> BTreeMap<&'static str, u64> {
        let all = self.object.programs();
        let all = all.filter_map(|(name, program)| Some((name, misses::of_program(program)?)));
        all.filter(|(_, times)| *times > 0).collect()
    }

    /// Whether another program sees what this one does not, or it is one that sees what others do not.
    fn has_twin(&self, program: &str) -> bool {
        self.plan.tracepoints.iter().any(|witness| {
            witness.twin.is_some_and(|twin| {
                program == twin.program || !twin.takes_over && program == witness.name
            })
        })
    }

    fn clear<K: aya::Pod, V: aya::Pod>(&mut self, name: &'static str) -> Result<(), SessionError> {
        let mut map = self.map::<HashMap<_, K, V>>(name)?;
        let keys: Vec<K> = map.keys().flatten().collect();
        for key in keys {
            match map.remove(&key) {
                // A process that ends takes its entry away itself.
                Err(error) if is_gone(&error) => {}
                removed => removed.map_err(|error| map_error(name, error))?,
            }
        }
        Ok(())
    }

    fn map<'a, M>(&'a mut self, name: &'static str) -> Result<M, SessionError>
    where
        M: TryFrom<&'a mut Map, Error = MapError>,
    {
        let map = self.object.map_mut(name).ok_or_else(|| map_error(name, "not in the object"))?;
        M::try_from(map).map_err(|error| map_error(name, error))
    }

    fn program(&self, name: &str) -> Result<BorrowedFd<'_>, SessionError> {
        self.object.program(name).ok_or_else(|| SessionError::Program {
            program: name.to_owned(),
            error: "it was not loaded".into(),
        })
    }

    /// Fills the map by which a program knows where it is, before any program runs.
    fn tell_sites(&mut self) -> Result<(), SessionError> {
        let sites = self.plan.sites.iter().map(|site| (site.address, site_of(site)));
        let leaves = self.plan.leaves.iter().map(|leaf| (leaf.address, leaf.site));
        let all: Vec<(u64, Site)> = sites.chain(leaves).collect();
        let mut map = self.map::<HashMap<&mut MapData, u64, Site>>("SITES")?;
        for (address, site) in all {
            map.insert(address, site, 0).map_err(|error| map_error("SITES", error))?;
        }
        Ok(())
    }

    fn tell_numbers(&mut self) -> Result<(), SessionError> {
        if self.options.namespace != 0 {
            let program = self.program(numbers::PROGRAM)?;
            self.numbers = Some(Numbers::new(program).map_err(SessionError::Numbers)?);
        }
        Ok(())
    }

    /// What the kernel calls a process; nothing if it has ended.
    fn kernel_number(&self, pid: u32) -> Result<Option<u32>, SessionError> {
        let Some(numbers) = &self.numbers else { return Ok(Some(pid)) };
        Ok(numbers.all().map_err(SessionError::Numbers)?.get(&pid).copied())
    }

    /// Gives the programs the counters of each CPU, which live as long as the session.
    fn tell_counters(&mut self, counters: Counters) -> Result<(), SessionError> {
        if let Some(map) = self.object.map("CYCLES") {
            counters.put_into(map).map_err(|error| map_error("CYCLES", error))?;
        }
        self.links.extend(counters.into_events().map(Link::event));
        Ok(())
    }

    /// Whether the processor's cycles are counted.
    pub fn counts_cycles(&self) -> bool {
        self.options.cycles != 0
    }

    fn attach_sites(&mut self) -> Result<(), SessionError> {
        if self.plan.sites.is_empty() {
            return Ok(());
        }
        let failed = |site: &CallSite, error: io::Error| SessionError::Attach {
            target: site.label(),
            error: error.into(),
        };
        let pmu = attach::pmu("kprobe").map_err(|error| failed(&self.plan.sites[0], error))?;
        let program = self.program("copy_site")?;
        let events = attach::in_parallel(&self.plan.sites, |site| {
            attach::at_address(program, pmu, site.address).map_err(|error| failed(site, error))
        });
        let mut refused = Vec::new();
        for (site, event) in self.plan.sites.iter().zip(events) {
            match event {
                Ok(event) => self.links.push(Link::event(event)),
                Err(error) if site.is_known() => refused.push(error.to_string()),
                // Much of what is found everywhere refuses probes, such as the routines' own
                // folder.
                Err(error) => log::debug!("{error}"),
            }
        }
        self.refused = refused;
        Ok(())
    }

    fn attach_functions(&mut self) -> Result<(), SessionError> {
        let object = &self.object;
        let links = attach::in_parallel(&self.plan.probes, |probe| {
            let attach = |program: &&'static str| object.attach_to(program, probe.symbol);
            probe.programs.iter().map(attach).collect::<io::Result<Vec<_>>>().map_err(|error| {
                SessionError::Attach { target: probe.symbol.to_owned(), error: error.into() }
            })
        });
        for links in links {
            self.links.extend(links?);
        }
        Ok(())
    }

    fn attach_breakpoints(&mut self) -> Result<(), SessionError> {
        let program = self.program(BREAKPOINT)?;
        let cpus = aya::util::online_cpus().map_err(|(what, error)| SessionError::Attach {
            target: what.to_owned(),
            error: error.into(),
        })?;
        let mut links = Vec::new();
        for leaf in &self.plan.leaves {
            for &cpu in &cpus {
                let event = attach::at_breakpoint(program, leaf.address, cpu).map_err(|error| {
                    SessionError::Attach {
                        target: format!("a hardware breakpoint on {} (CPU {cpu})", leaf.symbol),
                        error: Refusal::from(error)
                            .and("--verify needs four free breakpoints a CPU"),
                    }
                })?;
                links.push(Link::event(event));
            }
        }
        self.links.extend(links);
        Ok(())
    }

    /// Last, so that a window never opens before everything else is attached.
    fn attach_tracepoints(
        &mut self,
        witnesses: &[&'static TracepointWitness],
    ) -> Result<(), SessionError> {
        for witness in witnesses {
            for name in witness.programs(&self.plan) {
                let failed = |error: io::Error| SessionError::Attach {
                    target: format!("tracepoint {}", witness.name),
                    error: error.into(),
                };
                let tracepoint =
                    CString::new(witness.name).map_err(|error| failed(error.into()))?;
                let link = bpf::attach(self.program(name)?, Some(&tracepoint)).map_err(failed)?;
                self.links.push(Link::event(link));
            }
        }
        Ok(())
    }
}

/// The program of hardware breakpoints.
const BREAKPOINT: &str = "leaf_breakpoint";

/// The tracepoints that are needed for a purpose.
fn tracepoints(plan: &Plan, purpose: Purpose) -> Vec<&'static TracepointWitness> {
    let (for_flows, wanted) = match purpose {
        Purpose::Windows => (false, Wanted::default()),
        Purpose::Flows { wanted, .. } => (true, wanted),
    };
    let is_needed = |witness: &&TracepointWitness| match witness.need {
        Need::ForFlows => for_flows,
        Need::ForCgroups => wanted.cgroup.is_some(),
        Need::ForSignals => wanted.signals,
        Need::Always | Need::Usually | Need::WithoutCallSites | Need::WithFunctions => true,
    };
    plan.tracepoints.iter().copied().filter(is_needed).collect()
}

/// The programs that a plan needs.
fn wanted(
    plan: &Plan,
    purpose: Purpose,
    tracepoints: &[&'static TracepointWitness],
    verify: bool,
) -> Vec<object::Wanted> {
    let program = |program| object::Wanted { program, function: None };
    let sites = (!plan.sites.is_empty()).then_some("copy_site");
    let breakpoints = verify.then_some(BREAKPOINT);
    let user = (purpose == Purpose::Windows).then_some("user_copy");
    let functions = plan.probes.iter().flat_map(|probe| {
        probe.programs.iter().map(|program| object::Wanted { program, function: probe.btf_id })
    });
    tracepoints
        .iter()
        .flat_map(|witness| witness.programs(plan))
        .chain(sites)
        .chain(breakpoints)
        .chain(user)
        .map(program)
        .chain(functions)
        .collect()
}

impl Drop for Session {
    fn drop(&mut self) {
        self.detach();
        if let Some(detaching) = self.detaching.take() {
            // It only drops; there is nothing to answer.
            let _ = detaching.join();
        }
    }
}

/// Sums over the CPUs.
type Sums = BTreeMap<Key, Tally>;

fn add(sums: &mut Sums, key: Key, tally: &Tally) {
    sums.entry(Key { cpu: 0, ..key }).or_default().add(tally);
}

/// How many CPUs there can be.
fn cpus() -> Result<usize, SessionError> {
    aya::util::nr_cpus().map_err(|(path, error)| map_error(path, error))
}

/// The bytes of a constant for the programs.
fn bytes_of<T: aya::Pod>(value: &T) -> &[u8] {
    // SAFETY: it has as many bytes, all of them defined, as `Pod` promises.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

fn takes_stacks(options: &Options) -> bool {
    options.stacks != stack::NEVER
}

fn site_of(site: &CallSite) -> Site {
    let routine = site.routine;
    debug_assert_ne!(routine.iterator, NO_ITERATOR, "copies by packet are function probes");
    crate::witness::site(routine.count, routine.iterator, routine.from_iterator)
}

/// Whether an entry was taken out of its map before.
fn is_gone(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.kind() == io::ErrorKind::NotFound)
}

fn map_error(map: &str, error: impl Into<Refusal>) -> SessionError {
    SessionError::Map { map: map.to_owned(), error: error.into() }
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn an_entry_that_is_gone_is_no_failure() {
        let failed = |number| {
            let io_error = io::Error::from_raw_os_error(number);
            MapError::SyscallError(SyscallError { call: "bpf_map_delete_elem", io_error })
        };
        assert!(is_gone(&failed(libc::ENOENT)));
        assert!(!is_gone(&failed(libc::EPERM)));
    }
}
