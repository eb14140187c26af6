//! The offset of a function of this program in its file, from the kernel's mappings: no symbol table is
//! needed.

use std::{
    io,
    path::{Path, PathBuf},
};

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
    maps.lines().find_map(|line| place_in(line, address)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no file is mapped at {address:#x}"))
    })
}

/// In a mapping, as `start-end permissions offset device inode path`.
fn place_in(line: &str, address: u64) -> Option<Place> {
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (addresses, rest) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let from = number(rest.split_whitespace().nth(1)?)?;
    let path = &rest[rest.find('/')?..];
    let offset = from + address.checked_sub(start)?;
    (address < end).then(|| Place { file: Path::new(path).to_owned(), offset })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn an_address_lies_in_the_file_that_is_mapped_there() {
        let line = "7f00-8f00 r-xp 00002000 fe:00 12   /a folder/program";
        let place = Place { file: "/a folder/program".into(), offset: 0x2010 };
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
