//! Where the library has what tells of the stub: by its symbols.

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path};

use blazesym::inspect::{
    Inspector,
    source::{Elf, Source},
};

use super::{
    NoStub,
    structs::{Layout, Symbols},
};

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

/// What a library tells, at addresses in a process.
pub enum Told {
    /// Where the field itself is.
    Field(u64),
    /// Where the table of all fields is.
    Table(Symbols),
}

/// What the symbols tell of a library that begins at `start`. `exact`: the very file that is mapped, where that can
/// be opened; else `path` is taken.
pub fn of(exact: &Path, path: &Path, start: u64) -> Result<Told, NoStub> {
    let failed = |error: String| NoStub::Symbols { path: path.to_owned(), error };
    let file = open(exact).or_else(|_| open(path)).map_err(|error| failed(error.to_string()))?;
    // The file that is open, whatever is there under its name.
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    let source = Source::Elf(Elf { debug_syms: false, ..Elf::new(opened) });
    let inspector = Inspector::new();
    let address = |name: &str| -> Result<Option<u64>, NoStub> {
        let found =
            inspector.lookup(&source, &[name]).map_err(|error| failed(error.to_string()))?;
        let symbol = found.first().and_then(|symbols| symbols.first());
        // A shared library is made for the address 0.
        Ok(symbol.map(|symbol| start.wrapping_add(symbol.addr)))
    };
    let told = |name: &str| address(name)?.ok_or(NoStub::Untold);
    match address(FIELD)? {
        Some(field) => Ok(Told::Field(field)),
        None => Ok(Told::Table(Symbols { table: told(TABLE)?, layout: LAYOUT.map(told)? })),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a file")),
    }
}
