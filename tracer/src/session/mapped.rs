//! The offset of a function of this program in its file, from the kernel's mappings: no symbol table is
//! needed.

use std::{io, path::PathBuf};

use crate::mappings::Mapping;

/// A place in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// In bytes, from its beginning.
    pub offset: u64,
}

/// The place from which an address of this process was mapped.
pub fn place_of(address: u64) -> io::Result<Place> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Mapping::all(&maps).find_map(|it| place_in(it, address)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no file is mapped at {address:#x}"))
    })
}

fn place_in(mapping: Mapping<'_>, address: u64) -> Option<Place> {
    let Mapping { start, offset, path, .. } = mapping;
    let is_there = mapping.is_of_file() && mapping.contains(address);
    is_there.then(|| Place { file: path.into(), offset: offset + (address - start) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn an_address_lies_in_the_file_that_is_mapped_there() {
        let line = "7f00-8f00 r-xp 00002000 fe:00 12   /a folder/program";
        let place = Place { file: "/a folder/program".into(), offset: 0x2010 };
        let place_in = |line, address| Mapping::all(line).find_map(|it| place_in(it, address));
        assert_eq!(place_in(line, 0x7f10), Some(place));
        assert_eq!(place_in(line, 0x8f00), None);
        assert_eq!(place_in("7f00-8f00 rw-p 00000000 00:00 0 [heap]", 0x7f10), None);
    }

    #[test]
    fn a_uprobe_finds_the_copy_in_user_space() {
        let function = workloads::USER_COPY as *const u8;
        let place = place_of(function as u64).unwrap();
        assert_eq!(place.file, std::env::current_exe().unwrap());
        let mut in_file = [0; 8];
        std::fs::File::open(&place.file)
            .unwrap()
            .read_exact_at(&mut in_file, place.offset)
            .unwrap();
        // SAFETY: the function is longer than that.
        let in_memory = unsafe { std::slice::from_raw_parts(function, in_file.len()) };
        assert_eq!(in_file, in_memory);
    }
}
