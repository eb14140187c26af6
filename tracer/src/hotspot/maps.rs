//! What a process has mapped, as `/proc/PID/maps` has it.

use std::path::Path;

/// The library that the virtual machine is in.
const LIBRARY: &str = "libjvm.so";
/// What follows the path of a file that has none any more.
const DELETED: &str = " (deleted)";

/// A piece of a process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// Where in the file the first one is, in bytes.
    offset: u64,
    is_code: bool,
    /// The file, or what it is instead; empty if there is nothing to say.
    pub path: &'a str,
}

/// All of them.
pub struct Maps<'a>(Vec<Mapping<'a>>);

impl<'a> Maps<'a> {
    /// Of the file's text. What is no line of it is left out.
    pub fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(mapping).collect())
    }

    /// Where the library begins.
    pub fn library(&self) -> Option<Mapping<'a>> {
        let is_library = |path: &str| Path::new(path).file_name().is_some_and(|it| it == LIBRARY);
        self.0.iter().copied().find(|it| it.offset == 0 && is_library(it.path))
    }

    /// Whether there is machine code of the program at an address; the kernel's own lie in the upper half.
    pub fn is_code(&self, address: u64) -> bool {
        address >> 63 == 0
            && self.0.iter().any(|it| it.is_code && (it.start..it.end).contains(&address))
    }
}

/// `start-end permissions offset device inode path`
fn mapping(line: &str) -> Option<Mapping<'_>> {
    let number = |text| u64::from_str_radix(text, 16).ok();
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()?.contains('x');
    let offset = number(fields.next()?)?;
    let path = fields.nth(2).unwrap_or_default().trim_start();
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    Some(Mapping { start: number(start)?, end: number(end)?, offset, is_code, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7f00-7f20 r--p 00000000 fe:00 1970                     /usr/lib/a jvm/server/libjvm.so (deleted)
7f20-7f30 r-xp 00000020 fe:00 1970                     /usr/lib/a jvm/server/libjvm.so (deleted)
8000-9000 rwxp 00000000 00:00 0 
9000-a000 rw-p 00000000 00:00 0                          [heap]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]
what nobody can read
ffff-
";

    #[test]
    fn the_library_is_found_by_its_name() {
        let maps = Maps::parse(TEXT);
        let library = maps.library().unwrap();
        assert_eq!((library.start, library.end), (0x7f00, 0x7f20));
        assert_eq!(library.path, "/usr/lib/a jvm/server/libjvm.so");
        let other = TEXT.replace("libjvm.so", "libjvm.so.old");
        assert_eq!(Maps::parse(&other).library(), None);
        assert_eq!(Maps::parse("").library(), None);
    }

    #[test]
    fn code_is_where_it_may_run() {
        let maps = Maps::parse(TEXT);
        let at = [0, 0x7f10, 0x7f20, 0x8000, 0x8fff, 0x9000, 0xffff_ffff_ff60_0000];
        let is_code = [false, false, true, true, true, false, false];
        assert_eq!(at.map(|address| maps.is_code(address)), is_code);
    }
}
