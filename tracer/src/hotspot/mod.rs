//! A running HotSpot, Java's virtual machine: where in its memory the stub begins that copies for
//! `Unsafe.copyMemory`, and so from arrays to direct buffers, from mappings to arrays, and back.
//!
//! It is the function `(from, to, bytes)` of the machine's calling convention; the compilers and the
//! interpreter call it, and no compiler inlines it.

mod maps;
mod structs;
mod symbols;

use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf};

use maps::Maps;
use structs::{Memory, Untrue};
use symbols::{Libraries, Told};

/// The stub of a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stub {
    /// It is not made yet.
    Coming,
    /// It begins there.
    At(u64),
}

/// Why nobody can say where the stub is.
#[derive(Debug, thiserror::Error)]
pub enum NoStub {
    /// The process let nobody look.
    #[error("its memory cannot be read: {0}")]
    Memory(io::Error),
    /// Its library cannot be looked into.
    #[error("the symbols of {path} cannot be read: {error}")]
    Symbols {
        /// The library.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Neither table of the library names it.
    #[error(
        "neither its gHotSpotVMStructs (up to JDK 21) nor the symbol table of its libjvm.so names \
         StubRoutines::_unsafe_arraycopy"
    )]
    Untold,
    /// The library is of another machine, or is none.
    #[error("its libjvm.so is not of a 64-bit x86")]
    OtherMachine,
    /// The tables in its memory are none.
    #[error(transparent)]
    Untrue(#[from] Untrue),
}

/// Whether a HotSpot runs in a process, or is about to.
pub fn runs_in(pid: u32) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"));
    maps.is_ok_and(|maps| Maps::parse(&maps).library().is_some())
}

/// Looks for stubs. It remembers the libraries that it has looked into.
#[derive(Debug, Default)]
pub struct Finder(Libraries);

impl Finder {
    /// The stub of a process; nothing if no HotSpot runs in it.
    pub fn stub(&mut self, pid: u32) -> Result<Option<Stub>, NoStub> {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(NoStub::Memory)?;
        let maps = Maps::parse(&maps);
        let Some(library) = maps.library() else { return Ok(None) };
        let memory = Process::open(pid).map_err(NoStub::Memory)?;
        if !is_of_this_machine(&memory, library.start) {
            return Err(NoStub::OtherMachine);
        }
        let field = match self.0.told(&library, pid)? {
            Told::Field(field) => field,
            Told::Table(symbols) => structs::field(&memory, &symbols)?.ok_or(NoStub::Untold)?,
        };
        let at = structs::number(&memory, field)?;
        Ok(Some(if maps.is_code(at) { Stub::At(at) } else { Stub::Coming }))
    }
}

/// Whether an ELF file for 64-bit x86 begins there.
fn is_of_this_machine(memory: &impl Memory, start: u64) -> bool {
    /// `e_ident` with ELFCLASS64 and ELFDATA2LSB, and EM_X86_64 in `e_machine`.
    const IDENT: &[u8] = b"\x7fELF\x02\x01";
    const MACHINE: std::ops::Range<usize> = 18..20;
    const X86_64: [u8; 2] = 62u16.to_le_bytes();
    let mut header = [0; MACHINE.end];
    let read = memory.read(start, &mut header);
    read.is_ok() && header.starts_with(IDENT) && header[MACHINE] == X86_64
}

/// The memory that a process had when this was opened, also if it has executed another program since.
struct Process(File);

impl Process {
    fn open(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/mem")).map(Self)
    }
}

impl Memory for Process {
    fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_virtual_machine_has_no_stub() {
        let mut finder = Finder::default();
        assert_eq!(finder.stub(std::process::id()).unwrap(), None);
        assert!(matches!(finder.stub(0), Err(NoStub::Memory(_))));
    }

    #[test]
    fn this_program_is_of_this_machine() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
        let memory = Process::open(std::process::id()).unwrap();
        assert!(is_of_this_machine(&memory, start));
        assert!(!is_of_this_machine(&memory, start + 1));
        assert!(!is_of_this_machine(&memory, u64::MAX));
    }
}
