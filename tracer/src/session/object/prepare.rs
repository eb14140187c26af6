//! From the embedded object to maps in the kernel, and programs to load.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aya::maps::MapData;
use aya_obj::{
    EbpfSectionKind,
    generated::{bpf_attr, bpf_cmd},
};

use super::{
    load::{Loading, kind},
    rewrite::{call_the_kernel, forget_callbacks},
    setup::{Setup, Wanted},
};
use crate::session::{
    bpf,
    error::{SessionError, map_error},
    refusal::Refusal,
};

/// The object, embedded by `build.rs`; empty with `COPYTRACE_EBPF_OBJECT=none`.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// The object's maps are in the kernel; its programs can be loaded.
pub struct Prepared {
    object: aya_obj::Object,
    types: Option<OwnedFd>,
    /// By name: as the object has it, and as it was made.
    pub maps: Vec<(String, aya_obj::Map, MapData)>,
}

impl Prepared {
    /// Creates the maps, and removes the programs that are not wanted.
    pub fn new(setup: &Setup<'_>, wanted: &[Wanted]) -> Result<Self, SessionError> {
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

    /// A program, to be loaded.
    pub fn program(&self, wanted: Wanted) -> Result<Loading<'_>, SessionError> {
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

/// The object in this program, with these values of its constants.
pub fn parse(globals: &[(&str, &[u8])]) -> Result<aya_obj::Object, SessionError> {
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

/// Loads the object's own BTF. The verifier needs it for functions that are passed to a helper, such as
/// `bpf_find_vma`.
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

/// Creates a map. A map of constants is filled and frozen: so the verifier knows its content, and removes
/// dead code.
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

/// Puts the maps' descriptors, and the called functions, into the programs.
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
