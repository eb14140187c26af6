//! A session: the programs in the kernel, the processes they count for, and what they counted.

mod attach;
mod batch;
mod bpf;
mod counters;
mod counts;
mod derived;
mod diagnostics;
pub mod flows;
mod misses;
mod movements;
pub mod names;
pub mod stacks;
pub mod symbols;
pub mod trial;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Instant,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData, PerCpuArray, PerCpuHashMap},
    programs::{
        FEntry, FExit, KProbe, PerfEvent, Program, ProgramError, RawTracePoint, UProbe,
        uprobe::UProbeScope,
    },
};
use tracer_common::{
    Ends, Key, NO_ITERATOR, Options, ROLE_RECEIVER, ROLE_SENDER, Site, Socket, Tally, Task, flow,
    stack, window,
};

use counters::Counters;

pub use counts::Counts;
pub use movements::{Payload, observe, unexplained};

use crate::{
    flows::Detail,
    ledger::Side,
    witness::{
        Plan, Tier,
        catalogue::{Need, TracepointWitness},
        sites::CallSite,
    },
};

/// The eBPF programs, built by `build.rs`.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// Why a session could not be started or read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The kernel refused the maps.
    #[error("cannot create the eBPF maps: {0}; copytrace needs root, or CAP_BPF and CAP_PERFMON")]
    Load(#[from] aya::EbpfError),
    /// The kernel refused a program.
    #[error("cannot load the eBPF program {program}: {error}")]
    Program {
        /// Its name.
        program: String,
        /// What the kernel said.
        error: String,
    },
    /// The kernel refused to attach a program.
    #[error("cannot attach to {target}: {error}")]
    Attach {
        /// Function, tracepoint or address.
        target: String,
        /// What the kernel said.
        error: String,
    },
    /// A map could not be read or written.
    #[error("cannot use the eBPF map {map}: {error}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What the kernel said.
        error: String,
    },
}

/// When the window of a traced process opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// At its marker.
    AtMarker,
    /// At once: what it does is not what is measured, and only its copies are looked at.
    AtOnce,
}

/// Programs attached to the kernel. Dropping it detaches them all.
pub struct Session {
    ebpf: Ebpf,
    plan: Plan,
    /// Kprobes at call sites, and hardware breakpoints.
    events: Vec<OwnedFd>,
    verify: bool,
    options: Options,
    /// Lost events that were reported already.
    lost: u64,
    /// How many processes were given an id here.
    followed: u32,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Windows that the traced processes open and close themselves.
    Window,
    /// Flows of any program.
    Flows {
        /// What is told apart besides processes and objects.
        detail: Detail,
        /// Take stacks of the copies.
        stacks: bool,
    },
}

impl Purpose {
    fn options(self, plan: &Plan, cycles: &Counters) -> Options {
        let Self::Flows { detail, stacks } = self else { return Options::default() };
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
        Options {
            stacks,
            detail,
            times: 1,
            cycles: u32::from(!cycles.is_empty()),
            skip_virtual: u32::from(plan.sites.is_empty() && plan.probes.is_empty()),
        }
    }
}

/// How much room the maps need for stacks, in entries, and in bytes for what programs mapped.
const ROOM_FOR_STACKS: &[(&str, u32)] =
    &[("STACKS_EVEN", stack::MOST), ("STACKS_ODD", stack::MOST), ("MODULES", 1 << 20)];

/// How much room the maps need for [`Purpose::Flows`], in entries.
const ROOM: &[(&str, u32)] = &[
    ("TASKS", 65_536),
    ("SOCKETS", 65_536),
    ("SENDERS", 65_536),
    ("CURRENT", 65_536),
    ("LAST_READS", 16_384),
    ("IDENTITIES", 65_536),
    ("OBJECTS", 20_480),
    ("PROCESSES", 32_768),
    ("THREADS", 65_536),
];

/// The counters of each epoch, and what they may take, in bytes: each CPU has its own of all.
const COUNTERS: [&str; 2] = ["COUNTS_EVEN", "COUNTS_ODD"];
const MOST_COUNTERS: usize = 65_536;
const MOST_COUNTER_BYTES: usize = 128 << 20;

/// How many counters there is room for with so many CPUs.
fn room_for_counters(cpus: usize) -> u32 {
    MOST_COUNTERS.min(MOST_COUNTER_BYTES / (cpus * size_of::<Tally>())) as u32
}

impl Session {
    /// Loads the programs a plan names and attaches them; with `verify`, hardware breakpoints too.
    pub fn start(plan: Plan, purpose: Purpose, verify: bool) -> Result<Self, SessionError> {
        let cycles = match purpose {
            Purpose::Window => Counters::none(),
            Purpose::Flows { .. } => Counters::of_cycles(),
        };
        let options = purpose.options(&plan, &cycles);
        let mut loader = EbpfLoader::new();
        loader.override_global("LAYOUT", &plan.layout, true);
        loader.override_global("OPTIONS", &options, true);
        let flows = if purpose == Purpose::Window { &[][..] } else { ROOM };
        if purpose != Purpose::Window {
            for map in COUNTERS {
                loader.map_max_entries(map, room_for_counters(cpus(map)?));
            }
        }
        let stacks = if takes_stacks(&options) { ROOM_FOR_STACKS } else { &[] };
        for (map, entries) in flows.iter().chain(stacks) {
            loader.map_max_entries(map, *entries);
        }
        let ebpf = loader.load(PROGRAMS)?;
        let start = Instant::now();
        let mut session =
            Self { ebpf, plan, events: Vec::new(), verify, options, lost: 0, followed: 0 };
        session.tell_sites()?;
        session.tell_counters(cycles)?;
        session.attach_sites()?;
        session.attach_functions()?;
        if verify {
            session.attach_breakpoints()?;
        }
        session.attach_tracepoints(purpose)?;
        log::info!(
            "attached {} call sites, {} functions and {} tracepoints in {:?}",
            session.plan.sites.len(),
            session.plan.probes.len(),
            session.plan.tracepoints.len(),
            start.elapsed()
        );
        Ok(session)
    }

    /// What is attached.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Passes on what the programs say of themselves to the log. Needs a tokio runtime.
    pub fn log(&mut self) -> Result<(), SessionError> {
        diagnostics::forward(&mut self.ebpf)
    }

    /// Counts what programs that run the file `program` copy themselves, in a function of theirs
    /// whose third argument is a count of bytes, as `memcpy` has it.
    pub fn watch_user_copies(
        &mut self,
        program: &Path,
        function: &str,
    ) -> Result<(), SessionError> {
        let name = "user_copy";
        let probe: &mut UProbe = Self::program(&mut self.ebpf, name)?;
        probe.load().map_err(|error| program_error(name, &error))?;
        probe.attach(function, program, UProbeScope::AllProcesses).map(drop).map_err(|error| {
            SessionError::Attach {
                target: format!("{function} in {}", program.display()),
                error: refusal(&error),
            }
        })
    }

    /// Starts to count for a process.
    pub fn trace(&mut self, pid: u32, side: Side, opens: Opens) -> Result<(), SessionError> {
        let role = match side {
            Side::Sender => ROLE_SENDER,
            Side::Receiver => ROLE_RECEIVER,
        };
        let window = match opens {
            Opens::AtMarker => window::CLOSED,
            Opens::AtOnce => window::OPEN,
        };
        let task = Task {
            role,
            padding: [0; 3],
            window,
            mappings: Default::default(),
            process: 0,
            padding_after: 0,
        };
        self.map::<HashMap<_, u32, Task>>("TASKS")?
            .insert(pid, task, 0)
            .map_err(|error| map_error("TASKS", error))
    }

    /// Takes what was counted since the last time, and stops counting for every process.
    pub fn collect(&mut self) -> Result<Counts, SessionError> {
        self.clear::<u32, Task>("TASKS")?;
        self.clear::<u64, Socket>("SOCKETS")?;
        self.clear::<Ends, u64>("SENDERS")?;
        let mut counts = Counts::new(self.verify);
        // A window has one epoch.
        for (key, tally) in self.take(0)? {
            counts.add(key, tally);
        }
        counts.lost = self.newly_lost()?;
        Ok(counts)
    }

    /// The counters of an epoch that is over, with their sums over the CPUs.
    fn take(&mut self, epoch: u32) -> Result<Vec<(Key, Tally)>, SessionError> {
        let maps = match epoch {
            0 => ["COUNTS_EVEN", "OVERFLOW_EVEN"],
            _ => ["COUNTS_ODD", "OVERFLOW_ODD"],
        };
        let mut counters = self.take_all(maps[0])?;
        counters.extend(self.take_all(maps[1])?);
        Ok(counters)
    }

    /// Empties a map of counters: many at once if it is well filled, else one by one.
    fn take_all(&mut self, name: &'static str) -> Result<Vec<(Key, Tally)>, SessionError> {
        let mut map = self.map::<PerCpuHashMap<_, Key, Tally>>(name)?;
        let keys: Vec<Key> = map.keys().flatten().collect();
        if keys.len() >= batch::FEWEST {
            let Some(Map::PerCpuHashMap(map)) = self.ebpf.map(name) else {
                return Err(map_error(name, "not in the object"));
            };
            return batch::take(map.fd().as_fd(), cpus(name)?)
                .map_err(|error| map_error(name, error));
        }
        let mut counters = Vec::with_capacity(keys.len());
        for key in keys {
            // A key can come twice if others are added.
            let Ok(values) = map.get(&key, 0) else { continue };
            counters.push((key, counts::total(values.iter())));
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(counters)
    }

    /// Events lost since the last time.
    fn newly_lost(&mut self) -> Result<u64, SessionError> {
        let lost = self.lost()?;
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
        Ok(given_up + unseen.map(|(_, times)| times).sum::<u64>())
    }

    /// How often the kernel could not run a program, of those that it happened to.
    fn skipped(&self) -> BTreeMap<&str, u64> {
        let times = |program: &Program| misses::of_program(program.fd().ok()?.as_fd());
        let all = self.ebpf.programs().filter_map(|(name, program)| Some((name, times(program)?)));
        all.filter(|(_, times)| *times > 0).collect()
    }

    /// Whether another program sees what this one does not.
    fn has_twin(&self, program: &str) -> bool {
        let mut twins = self.plan.tracepoints.iter().filter(|it| it.twin.is_some());
        twins.any(|witness| witness.programs().any(|name| name == program))
    }

    fn clear<K: aya::Pod, V: aya::Pod>(&mut self, name: &'static str) -> Result<(), SessionError> {
        let mut map = self.map::<HashMap<_, K, V>>(name)?;
        let keys: Vec<K> = map.keys().flatten().collect();
        for key in keys {
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(())
    }

    fn map<'a, M>(&'a mut self, name: &'static str) -> Result<M, SessionError>
    where
        M: TryFrom<&'a mut Map, Error = aya::maps::MapError>,
    {
        let map = self.ebpf.map_mut(name).ok_or_else(|| map_error(name, "not in the object"))?;
        M::try_from(map).map_err(|error| map_error(name, error))
    }

    fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, SessionError>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let missing = || SessionError::Program {
            program: name.to_owned(),
            error: "not in the object".into(),
        };
        let program = ebpf.program_mut(name).ok_or_else(missing)?;
        program.try_into().map_err(|error| program_error(name, &error))
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

    /// Gives the programs the counters of each CPU, which live as long as the session.
    fn tell_counters(&mut self, counters: Counters) -> Result<(), SessionError> {
        if let Some(map) = self.ebpf.map("CYCLES") {
            counters.put_into(map).map_err(|error| map_error("CYCLES", error))?;
        }
        self.events.extend(counters.into_events());
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
            error: error.to_string(),
        };
        let pmu = attach::kprobe_pmu().map_err(|error| failed(&self.plan.sites[0], error))?;
        let program: &mut KProbe = Self::program(&mut self.ebpf, "copy_site")?;
        program.load().map_err(|error| program_error("copy_site", &error))?;
        let fd = program.fd().map_err(|error| program_error("copy_site", &error))?.as_fd();
        let events = attach::in_parallel(&self.plan.sites, |site| {
            attach::at_address(fd, pmu, site.address).map_err(|error| failed(site, error))
        });
        for (site, event) in self.plan.sites.iter().zip(events) {
            match event {
                Ok(event) => self.events.push(event),
                Err(error) if site.is_known() => return Err(error),
                // Much of what is found everywhere refuses probes, such as the routines' own
                // folder.
                Err(error) => log::debug!("{error}"),
            }
        }
        Ok(())
    }

    fn attach_functions(&mut self) -> Result<(), SessionError> {
        let btf = (self.plan.tier == Tier::Fentry && !self.plan.probes.is_empty())
            .then(Btf::from_sys_fs)
            .transpose()
            .map_err(|error| SessionError::Load(error.into()))?;
        for probe in &self.plan.probes {
            for program in &probe.programs {
                attach_function(&mut self.ebpf, program, probe.symbol, btf.as_ref()).map_err(
                    |error| SessionError::Attach {
                        target: probe.symbol.to_owned(),
                        error: refusal(&error),
                    },
                )?;
            }
        }
        Ok(())
    }

    fn attach_breakpoints(&mut self) -> Result<(), SessionError> {
        let name = "leaf_breakpoint";
        let program: &mut PerfEvent = Self::program(&mut self.ebpf, name)?;
        program.load().map_err(|error| program_error(name, &error))?;
        let fd = program.fd().map_err(|error| program_error(name, &error))?.as_fd();
        let cpus = aya::util::online_cpus().map_err(|(what, error)| SessionError::Attach {
            target: what.to_owned(),
            error: error.to_string(),
        })?;
        for leaf in &self.plan.leaves {
            for &cpu in &cpus {
                let event = attach::at_breakpoint(fd, leaf.address, cpu).map_err(|error| {
                    SessionError::Attach {
                        target: format!("a hardware breakpoint on {} (CPU {cpu})", leaf.symbol),
                        error: format!("{error}; --verify needs four free breakpoints a CPU"),
                    }
                })?;
                self.events.push(event);
            }
        }
        Ok(())
    }

    /// Last, so that a window never opens before everything else is attached.
    fn attach_tracepoints(&mut self, purpose: Purpose) -> Result<(), SessionError> {
        let needed = |witness: &&TracepointWitness| {
            purpose != Purpose::Window || witness.need != Need::ForFlows
        };
        for witness in self.plan.tracepoints.iter().copied().filter(needed) {
            for name in witness.programs() {
                let program: &mut RawTracePoint = Self::program(&mut self.ebpf, name)?;
                program.load().map_err(|error| program_error(name, &error))?;
                program.attach(witness.name).map_err(|error| SessionError::Attach {
                    target: format!("tracepoint {}", witness.name),
                    error: chain(&error),
                })?;
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The kernel waits for its readers at each detaching, so do it side by side.
        let events: Vec<_> =
            self.events.drain(..).map(|event| std::sync::Mutex::new(Some(event))).collect();
        attach::in_parallel(&events, |event| {
            drop(event.lock().unwrap_or_else(|error| error.into_inner()).take());
        });
    }
}

/// How many CPUs have counters in a map.
fn cpus(map: &'static str) -> Result<usize, SessionError> {
    aya::util::nr_cpus().map_err(|(_, error)| map_error(map, error))
}

fn takes_stacks(options: &Options) -> bool {
    options.stacks != stack::NEVER
}

fn attach_function(
    ebpf: &mut Ebpf,
    name: &str,
    symbol: &str,
    btf: Option<&Btf>,
) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    match (program, btf) {
        (Program::KProbe(program), _) => {
            program.load()?;
            program.attach(symbol, 0)?;
        }
        (Program::FEntry(program), Some(btf)) => load_fentry(program, symbol, btf)?,
        (Program::FExit(program), Some(btf)) => load_fexit(program, symbol, btf)?,
        _ => return Err(ProgramError::UnexpectedProgramType),
    }
    Ok(())
}

fn load_fentry(program: &mut FEntry, symbol: &str, btf: &Btf) -> Result<(), ProgramError> {
    program.load(symbol, btf)?;
    program.attach().map(drop)
}

fn load_fexit(program: &mut FExit, symbol: &str, btf: &Btf) -> Result<(), ProgramError> {
    program.load(symbol, btf)?;
    program.attach().map(drop)
}

fn site_of(site: &CallSite) -> Site {
    let routine = site.routine;
    debug_assert_ne!(routine.iterator, NO_ITERATOR, "copies by packet are function probes");
    crate::witness::site(routine.count, routine.iterator, routine.from_iterator)
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Why a program was refused, in one line. What the verifier wrote goes to the log.
fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            log::debug!("the verifier wrote: {verifier_log}");
            io_error.to_string()
        }
        error => chain(error),
    }
}

fn program_error(program: &str, error: &ProgramError) -> SessionError {
    SessionError::Program { program: program.to_owned(), error: refusal(error) }
}

fn map_error(map: &'static str, error: impl ToString) -> SessionError {
    SessionError::Map { map, error: error.to_string() }
}
