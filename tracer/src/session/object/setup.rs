//! The set-up of an object: its programs, the values of its constants, the room of its maps.

use std::collections::BTreeMap;

use tracer_common::ON_DEMAND;

use crate::{
    kernel::Allocation,
    session::{error::SessionError, refusal::Refusal},
};

/// A program to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the object.
    pub program: &'static str,
    /// For fentry, fexit and iterators: the id that the function has in the kernel's BTF.
    pub function: Option<u32>,
}

impl Wanted {
    /// The error that it could not be loaded.
    pub fn failed(self, error: impl Into<Refusal>) -> SessionError {
        SessionError::Program { program: self.program.to_owned(), error: error.into() }
    }
}

/// The set-up of the object's programs and maps.
pub struct Setup<'a> {
    /// Values of the programs' constants, by name.
    pub globals: [(&'a str, &'a [u8]); 2],
    /// The room of the maps.
    pub room: &'a Room,
    /// Whether the kernel lacks helpers that call functions of a program.
    pub without_callbacks: bool,
    /// The kernel functions that disable and enable preemption; see
    /// [`Plan::preemption`](crate::witness::Plan::preemption).
    pub preemption: Option<[u32; 2]>,
}

/// The room of maps.
pub struct Room {
    /// Entries by name; other maps have as many as in the object.
    pub entries: BTreeMap<&'static str, u32>,
    /// When entries are allocated.
    pub allocation: Allocation,
}

impl Room {
    /// Entries of a map.
    pub fn entries(&self, name: &str, map: &aya_obj::Map) -> u32 {
        self.entries.get(name).copied().unwrap_or(map.max_entries())
    }

    /// Flags of a map.
    pub fn flags(&self, map: &aya_obj::Map) -> u32 {
        match self.allocation {
            Allocation::OnDemand => map.map_flags(),
            Allocation::Beforehand => map.map_flags() & !ON_DEMAND,
        }
    }

    /// The map to create.
    pub fn make(&self, name: &str, map: &aya_obj::Map) -> aya_obj::Map {
        let mut made = map.clone();
        if self.flags(map) != map.map_flags() {
            let (kind, key, value) = (map.map_type(), map.key_size(), map.value_size());
            made = aya_obj::Map::new_from_params(kind, key, value, 0, self.flags(map));
        }
        made.set_max_entries(self.entries(name, map));
        made
    }
}
