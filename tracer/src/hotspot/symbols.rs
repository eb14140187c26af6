//! Where the library has what tells of the stub: by its symbols.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use blazesym::inspect::{
    Inspector,
    source::{Elf, Source},
};

use super::{
    NoStub,
    structs::{Layout, Symbols},
};
use crate::mappings::{self, Mapping, mounts};

/// `StubRoutines::_unsafe_arraycopy` as the compiler names it; in libraries that are not stripped.
const FIELD: &str = "_ZN12StubRoutines17_unsafe_arraycopyE";

/// The table of the virtual machine's fields, which every library exports, and how its entries lie.
const TABLE: &str = "gHotSpotVMStructs";
const LAYOUT: Layout<&str> = Layout {
    stride: "gHotSpotVMStructEntryArrayStride",
    type_name: "gHotSpotVMStructEntryTypeNameOffset",
    field_name: "gHotSpotVMStructEntryFieldNameOffset",
    is_static: "gHotSpotVMStructEntryIsStaticOffset",
    address: "gHotSpotVMStructEntryAddressOffset",
};

/// What a library tells, at addresses as it was made for.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// Where the field itself is.
    Field(u64),
    /// Where the table of all fields is.
    Table(Symbols),
}

impl Told {
    /// The same in a process where the library begins at `start`: a shared library is made for 0.
    fn at(self, start: u64) -> Self {
        let moved = |address: u64| start.wrapping_add(address);
        match self {
            Self::Field(field) => Self::Field(moved(field)),
            Self::Table(Symbols { table, layout }) => {
                Self::Table(Symbols { table: moved(table), layout: layout.map(moved) })
            }
        }
    }
}

/// A file, by its device and inode.
type Identity = (u64, u64);

/// Libraries that are remembered: as many as a machine has, as a rule.
const MOST: usize = 64;

/// Libraries that were looked into.
#[derive(Debug, Default)]
pub struct Libraries(BTreeMap<Identity, Told>);

impl Libraries {
    /// The symbols of a process's library, at their addresses in the process.
    pub fn told(&mut self, library: &Mapping<'_>, pid: u32) -> Result<Told, NoStub> {
        let failed = |error: String| NoStub::Symbols { path: library.name().into(), error };
        let start = library.start;
        let (file, identity) = open(library, pid).map_err(|error| failed(error.to_string()))?;
        if let Some(told) = self.0.get(&identity) {
            return Ok(told.at(start));
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let told = look_into(&file, failed)?;
        self.0.insert(identity, told);
        Ok(told.at(start))
    }
}

fn look_into(file: &File, failed: impl Fn(String) -> NoStub) -> Result<Told, NoStub> {
    // The file that is open, whatever is there under its name.
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    let source = Source::Elf(Elf { debug_syms: false, ..Elf::new(opened) });
    let inspector = Inspector::new();
    let address = |name: &str| -> Result<Option<u64>, NoStub> {
        let found = inspector.lookup(&source, &[name]);
        let found = found.map_err(|error| failed(error.to_string()))?;
        Ok(found.first().and_then(|symbols| symbols.first()).map(|symbol| symbol.addr))
    };
    let told = |name: &str| address(name)?.ok_or(NoStub::Untold);
    match address(FIELD)? {
        Some(field) => Ok(Told::Field(field)),
        None => Ok(Told::Table(Symbols { table: told(TABLE)?, layout: LAYOUT.try_map(told)? })),
    }
}

/// Opens exactly the file that is mapped; where that is not allowed, the one under its name, unless another
/// one may be there.
fn open(library: &Mapping<'_>, pid: u32) -> io::Result<(File, Identity)> {
    let is_other = library.is_deleted() || mounts(&pid.to_string()) != mounts("self");
    let by_name = |error| match is_other {
        true => Err(error),
        false => mappings::open(Path::new(library.path)),
    };
    let file = mappings::open(&library.exact(pid)).or_else(by_name)?;
    let metadata = file.metadata()?;
    Ok((file, (metadata.dev(), metadata.ino())))
}
