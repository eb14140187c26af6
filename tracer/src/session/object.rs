//! The eBPF object in the kernel: its maps, with the room that is asked for, and those of its programs
//! that are needed.
//!
//! `aya::EbpfLoader` does the same for every program and map, reads all of the kernel's BTF to do so,
//! and loads one program after the other: more than half a second on an emulated processor.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aya::maps::{Map, MapData};
use aya_obj::{
    EbpfSectionKind, Function, Program, ProgramSection,
    generated::{
        BPF_CALL, BPF_DW, BPF_IMM, BPF_JMP, BPF_K, BPF_LD, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC,
        BPF_PSEUDO_KFUNC_CALL,
        bpf_attach_type::{self, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_ITER},
        bpf_attr, bpf_cmd,
        bpf_prog_type::{
            self, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
            BPF_PROG_TYPE_TRACING,
        },
    },
};

use tracer_common::{ON_DEMAND, preemption};

use super::{
    Refusal, SessionError,
    attach::{self, At, Link, in_parallel},
    bpf, map_error,
    memory::{Memory, Shape},
    misses,
    verifier::Cost,
};
use crate::kernel::Allocation;

/// The object, put there by `build.rs`; empty if that was told to do without.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// A program to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the object.
    pub program: &'static str,
    /// For fentry, fexit and iterators: the id that the function has in the kernel's BTF.
    pub function: Option<u32>,
}

/// What the object's programs and maps are made with.
pub struct Setup<'a> {
    /// Values of the programs' constants, by name.
    pub globals: [(&'a str, &'a [u8]); 2],
    /// How much room the maps have.
    pub room: &'a Room,
    /// The kernel offers no helper that calls functions of a program.
    pub without_callbacks: bool,
    /// What programs call to stay on their CPU; see [`Plan::preemption`](crate::witness::Plan::preemption).
    pub preemption: Option<[u32; 2]>,
}

/// How much room maps have.
pub struct Room {
    /// In entries, by name; others have as much as the object says.
    pub entries: BTreeMap<&'static str, u32>,
    /// When entries are allocated.
    pub allocation: Allocation,
}

impl Room {
    fn entries(&self, name: &str, map: &aya_obj::Map) -> u32 {
        self.entries.get(name).copied().unwrap_or(map.max_entries())
    }

    fn flags(&self, map: &aya_obj::Map) -> u32 {
        match self.allocation {
            Allocation::OnDemand => map.map_flags(),
            Allocation::Beforehand => map.map_flags() & !ON_DEMAND,
        }
    }

    /// As it is to be created.
    fn make(&self, name: &str, map: &aya_obj::Map) -> aya_obj::Map {
        let mut made = map.clone();
        if self.flags(map) != map.map_flags() {
            let (kind, key, value) = (map.map_type(), map.key_size(), map.value_size());
            made = aya_obj::Map::new_from_params(kind, key, value, 0, self.flags(map));
        }
        made.set_max_entries(self.entries(name, map));
        made
    }
}

/// The object's maps and programs. Dropping it takes out of the kernel what is not attached.
pub struct Object {
    maps: BTreeMap<String, Map>,
    programs: BTreeMap<&'static str, Loaded>,
}

/// A program in the kernel.
struct Loaded {
    fd: OwnedFd,
    section: ProgramSection,
}

impl Object {
    /// Creates the maps, and loads these programs, side by side.
    pub fn load(setup: &Setup<'_>, wanted: &[Wanted]) -> Result<Self, SessionError> {
        let prepared = Prepared::new(setup, wanted)?;
        let programs = in_parallel(wanted, |wanted| prepared.program(*wanted)?.load());
        Ok(Self {
            maps: prepared
                .maps
                .into_iter()
                .map(|(name, _, created)| {
                    let map =
                        Map::from_map_data(created).map_err(|error| map_error(&name, error))?;
                    Ok((name, map))
                })
                .collect::<Result<_, SessionError>>()?,
            programs: wanted
                .iter()
                .zip(programs)
                .map(|(wanted, program)| Ok((wanted.program, program?)))
                .collect::<Result<_, SessionError>>()?,
        })
    }

    /// A map, if the object has it.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.maps.get(name)
    }

    /// Likewise, to be written.
    pub fn map_mut(&mut self, name: &str) -> Option<&mut Map> {
        self.maps.get_mut(name)
    }

    /// A program that was loaded.
    pub fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.programs.get(name).map(|program| program.fd.as_fd())
    }

    /// Attaches a program to the kernel's function for which it is: at its entry or its return, as the
    /// program's section says.
    pub fn attach_to(&self, name: &str, symbol: &str) -> io::Result<Link> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the program is not loaded");
        let Loaded { fd, section } = self.programs.get(name).ok_or_else(missing)?;
        match section {
            ProgramSection::FEntry { .. } | ProgramSection::FExit { .. } => {
                bpf::attach(fd.as_fd(), None).map(Link::trampoline)
            }
            section => {
                let at = match section {
                    ProgramSection::KRetProbe => At::Return,
                    _ => At::Entry,
                };
                attach::at_function(fd.as_fd(), symbol, at).map(Link::event)
            }
        }
    }

    /// All programs that were loaded, by name.
    pub fn programs(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.programs.iter().map(|(name, program)| (*name, program.fd.as_fd()))
    }
}

/// What these programs cost the kernel's verifier, each by itself.
pub fn costs(setup: &Setup<'_>, wanted: &[Wanted]) -> Result<Vec<Cost>, SessionError> {
    let prepared = Prepared::new(setup, wanted)?;
    let costs = in_parallel(wanted, |wanted| prepared.program(*wanted)?.cost());
    costs.into_iter().collect()
}

/// What the maps will take, with these numbers of entries.
pub fn memory(room: &Room, cpus: usize) -> Result<Memory, SessionError> {
    let mut all = Memory::default();
    for (name, map) in parse(&[])?.maps {
        all += Memory::of(
            Shape {
                kind: map.map_type(),
                key: map.key_size(),
                value: map.value_size(),
                entries: room.entries(&name, &map),
                flags: room.flags(&map),
            },
            cpus as u64,
        );
    }
    Ok(all)
}

fn parse(globals: &[(&str, &[u8])]) -> Result<aya_obj::Object, SessionError> {
    if PROGRAMS.is_empty() {
        return Err(SessionError::NoPrograms);
    }
    let broken = |error: aya_obj::ParseError| SessionError::Object(Refusal::of(&error));
    let mut object = aya_obj::Object::parse(PROGRAMS).map_err(broken)?;
    let globals: HashMap<_, _> =
        globals.iter().map(|(name, value)| (*name, (*value, true))).collect();
    object.patch_map_data(globals).map_err(broken)?;
    Ok(object)
}

/// Loads the object's own BTF. The verifier must know the functions of a program from it if one is given
/// to a helper, as to `bpf_find_vma`.
fn load_types(object: &mut aya_obj::Object) -> Result<Option<OwnedFd>, SessionError> {
    let Some(features) = aya::features().btf() else { return Ok(None) };
    let types = object
        .fixup_and_sanitize_btf(features)
        .map_err(|error| SessionError::Object(Refusal::of(&error)))?;
    let Some(types) = types.map(|types| types.to_bytes()) else { return Ok(None) };
    // SAFETY: all zeros is valid.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: these are the fields of this command.
    let load = unsafe { &mut attr.__bindgen_anon_7 };
    load.btf = types.as_ptr() as u64;
    load.btf_size = types.len() as u32;
    // SAFETY: the types outlive the call, and are as long as said; it returns a descriptor.
    let loaded = unsafe { bpf::open(bpf_cmd::BPF_BTF_LOAD, &mut attr) };
    loaded.map(Some).map_err(|error| SessionError::Object(Refusal::from(error)))
}

/// Creates a map. One that holds constants is filled, and can be changed no more: so the verifier
/// knows what is in it, and leaves out what can never run.
fn create(name: &str, mut map: aya_obj::Map) -> Result<MapData, SessionError> {
    let data = std::mem::take(map.data_mut());
    let is_constant = map.section_kind() == EbpfSectionKind::Rodata;
    let created =
        MapData::create(map, name, None).map_err(|error| map_error(name, Refusal::of(&error)))?;
    if !data.is_empty() {
        fill(created.fd().as_fd(), &data).map_err(|error| map_error(name, error))?;
    }
    if is_constant {
        freeze(created.fd().as_fd()).map_err(|error| map_error(name, error))?;
    }
    Ok(created)
}

fn fill(map: BorrowedFd<'_>, data: &[u8]) -> io::Result<()> {
    // SAFETY: such a map has one element, as long as the section, under a key of four bytes.
    unsafe { bpf::update(map, [0u8; 4].as_ptr(), data.as_ptr()) }
}

fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zeros is valid.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    // SAFETY: the command takes the map alone.
    unsafe { bpf::call(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }.map(drop)
}

/// Puts the maps' descriptors, and the functions that are called, into the programs.
fn relocate(
    object: &mut aya_obj::Object,
    maps: &[(String, aya_obj::Map, MapData)],
) -> Result<(), SessionError> {
    let broken =
        |error: aya_obj::relocation::EbpfRelocationError| SessionError::Object(Refusal::of(&error));
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    let by_name = maps
        .iter()
        .map(|(name, map, created)| (name.as_str(), created.fd().as_fd().as_raw_fd(), map));
    object.relocate_maps(by_name, &sections).map_err(broken)?;
    object.relocate_calls(&sections).map_err(broken)
}

const CALL: u8 = (BPF_JMP | BPF_CALL) as u8;
/// `goto +0`
const NOTHING: u8 = (BPF_JMP | BPF_K) as u8;

/// A kernel that calls no functions of programs does not know pointers to them either. They stand where
/// the program asked before whether it does, so that they are never used: a call to the same function
/// takes their place, for every function must be reached from somewhere.
fn forget_callbacks(function: &mut Function) {
    const POINTER: u8 = (BPF_LD | BPF_IMM | BPF_DW) as u8;
    let instructions = &mut function.instructions;
    for at in 0..instructions.len().saturating_sub(1) {
        let [first, second] = [at, at + 1];
        let is_pointer = instructions[first].code == POINTER
            && u32::from(instructions[first].src_reg()) == BPF_PSEUDO_FUNC;
        if is_pointer {
            instructions[first].code = CALL;
            instructions[first].set_dst_reg(0);
            instructions[first].set_src_reg(BPF_PSEUDO_CALL as u8);
            // A pointer takes the room of two instructions.
            instructions[second].code = NOTHING;
        }
    }
}

/// The object's maps are in the kernel; its programs can be loaded.
struct Prepared {
    object: aya_obj::Object,
    types: Option<OwnedFd>,
    maps: Vec<(String, aya_obj::Map, MapData)>,
}

impl Prepared {
    fn new(setup: &Setup<'_>, wanted: &[Wanted]) -> Result<Self, SessionError> {
        let mut object = parse(&setup.globals)?;
        let types = load_types(&mut object)?;
        object.programs.retain(|name, _| wanted.iter().any(|it| it.program == name));
        let mut maps = Vec::new();
        for (name, map) in std::mem::take(&mut object.maps) {
            let created = create(&name, setup.room.make(&name, &map))?;
            maps.push((name, map, created));
        }
        relocate(&mut object, &maps)?;
        if setup.without_callbacks {
            object.functions.values_mut().for_each(forget_callbacks);
        }
        for function in object.functions.values_mut() {
            call_the_kernel(function, setup.preemption);
        }
        Ok(Self { object, types, maps })
    }

    fn program(&self, wanted: Wanted) -> Result<Loading<'_>, SessionError> {
        let found = self.object.programs.get(wanted.program).and_then(|program| {
            let function = self.object.functions.get(&program.function_key())?;
            Some((program, function))
        });
        let (program, function) = found.ok_or_else(|| wanted.failed("not in the object"))?;
        let (ty, attach) = kind(&program.section)
            .ok_or_else(|| wanted.failed(format!("{:?} is of no use here", program.section)))?;
        Ok(Loading { wanted, ty, attach, types: self.types.as_ref(), program, function })
    }
}

impl Wanted {
    fn failed(self, error: impl Into<Refusal>) -> SessionError {
        SessionError::Program { program: self.program.to_owned(), error: error.into() }
    }
}

/// Puts the kernel's functions in the place of the calls that stand for them, or nothing where it has none.
fn call_the_kernel(function: &mut Function, preemption: Option<[u32; 2]>) {
    for instruction in function.instructions.iter_mut().filter(|it| it.code == CALL) {
        let index = match instruction.imm {
            preemption::DISABLE => 0,
            preemption::ENABLE => 1,
            _ => continue,
        };
        match preemption {
            Some(functions) => {
                instruction.set_src_reg(BPF_PSEUDO_KFUNC_CALL as u8);
                instruction.imm = functions[index] as i32;
            }
            None => {
                instruction.code = NOTHING;
                instruction.imm = 0;
            }
        }
    }
}

/// What the kernel must know of a program's kind.
fn kind(section: &ProgramSection) -> Option<(bpf_prog_type, Option<bpf_attach_type>)> {
    Some(match section {
        ProgramSection::KProbe | ProgramSection::KRetProbe => (BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::UProbe { .. } => (BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::PerfEvent => (BPF_PROG_TYPE_PERF_EVENT, None),
        ProgramSection::RawTracePoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        ProgramSection::FEntry { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_FENTRY)),
        ProgramSection::FExit { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_FEXIT)),
        ProgramSection::Iter { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_ITER)),
        _ => return None,
    })
}

/// A program on its way into the kernel.
struct Loading<'a> {
    wanted: Wanted,
    ty: bpf_prog_type,
    attach: Option<bpf_attach_type>,
    types: Option<&'a OwnedFd>,
    program: &'a Program,
    function: &'a Function,
}

impl Loading<'_> {
    fn load(&self) -> Result<Loaded, SessionError> {
        let loaded = self.run(Verifier::Silent, &mut []);
        let fd = loaded.map_err(|error| self.wanted.failed(error))?;
        Ok(Loaded { fd, section: self.program.section.clone() })
    }

    /// Loads it. Only if it is refused does the verifier write, for the log, how far it came.
    fn run(&self, verifier: Verifier, log: &mut [u8]) -> io::Result<OwnedFd> {
        self.attempt(verifier, log).inspect_err(|_| {
            let mut log = vec![0; 1 << 20];
            let _ = self.attempt(Verifier::Explains, &mut log);
            log::debug!("{}: the verifier wrote: {}", self.wanted.program, text(&log));
        })
    }

    /// Loads it for the verifier's account alone.
    fn cost(&self) -> Result<Cost, SessionError> {
        let mut log = vec![0; 1 << 12];
        let kept = self
            .run(Verifier::Counts, &mut log)
            .and_then(|loaded| misses::instructions(loaded.as_fd()))
            .map_err(|error| self.wanted.failed(error))?;
        let given = self.function.instructions.len() as u64;
        Cost::read(self.wanted.program, given, kept, &text(&log))
            .ok_or_else(|| self.wanted.failed(format!("the verifier wrote: {}", text(&log))))
    }

    fn attempt(&self, verifier: Verifier, log: &mut [u8]) -> io::Result<OwnedFd> {
        // SAFETY: all zeros is valid.
        let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
        // SAFETY: these are the fields of this command.
        let load = unsafe { &mut attr.__bindgen_anon_3 };
        load.prog_type = self.ty as u32;
        load.expected_attach_type = self.attach.map_or(0, |attach| attach as u32);
        load.attach_btf_id = self.wanted.function.unwrap_or(0);
        load.insns = self.function.instructions.as_ptr() as u64;
        load.insn_cnt = self.function.instructions.len() as u32;
        load.license = self.program.license.as_ptr() as u64;
        let functions = self.function.func_info.func_info_bytes();
        if let Some(types) = self.types {
            load.prog_btf_fd = types.as_raw_fd() as u32;
            load.func_info = functions.as_ptr() as u64;
            load.func_info_cnt = self.function.func_info.len() as u32;
            load.func_info_rec_size = self.function.func_info_rec_size as u32;
        }
        // The last byte stays 0.
        let room = load.prog_name.len() - 1;
        for (to, from) in load.prog_name[..room].iter_mut().zip(self.wanted.program.bytes()) {
            *to = from as i8;
        }
        if !log.is_empty() {
            load.log_level = verifier as u32;
            load.log_buf = log.as_mut_ptr() as u64;
            load.log_size = log.len() as u32;
        }
        // SAFETY: all that is pointed to outlives the call, and is as long as said.
        unsafe { bpf::load(&mut attr) }
    }
}

/// What the verifier writes: `BPF_LOG_LEVEL1` and `BPF_LOG_STATS` of `linux/bpf_verifier.h`.
#[derive(Clone, Copy)]
enum Verifier {
    Silent = 0,
    Explains = 1,
    Counts = 4,
}

/// What is in a buffer up to the first zero.
fn text(log: &[u8]) -> Cow<'_, str> {
    CStr::from_bytes_until_nul(log).unwrap_or_default().to_string_lossy()
}
