//! The eBPF object in the kernel: its maps, with the requested room, and the needed programs.
//!
//! `aya::EbpfLoader` does the same for every program and map, reads all of the kernel's BTF to do so,
//! and loads one program after the other: more than half a second on an emulated processor.

mod cost;
mod load;
mod prepare;
mod rewrite;
mod setup;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use aya::maps::Map;
use aya_obj::ProgramSection;

pub use cost::Cost;
pub use setup::{Room, Setup, Wanted};

use load::Loaded;
use prepare::{Prepared, parse};

use super::{
    attach::{self, At, Link, in_parallel},
    bpf,
    error::{SessionError, map_error},
    memory::{Memory, Shape},
};

/// The object's maps and programs. Dropping it unloads everything that is not attached.
pub struct Object {
    maps: BTreeMap<String, Map>,
    programs: BTreeMap<&'static str, Loaded>,
}

impl Object {
    /// Creates the maps, and loads these programs in parallel.
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

    /// Attaches a program to its function of the kernel: at the entry or the return, by the program's
    /// section.
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

/// The cost of these programs in the kernel's verifier, each by itself.
pub fn costs(setup: &Setup<'_>, wanted: &[Wanted]) -> Result<Vec<Cost>, SessionError> {
    let prepared = Prepared::new(setup, wanted)?;
    let costs = in_parallel(wanted, |wanted| prepared.program(*wanted)?.cost());
    costs.into_iter().collect()
}

/// The memory of the maps, with these numbers of entries.
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
