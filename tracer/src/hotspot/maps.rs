//! What of a process's mappings tells of a virtual machine.

use std::path::Path;

use crate::mappings::Mapping;

/// The library that the virtual machine is in.
const LIBRARY: &str = "libjvm.so";

/// All mappings of a process.
pub struct Maps<'a>(Vec<Mapping<'a>>);

impl<'a> Maps<'a> {
    /// Of the file's text. What is no line of it is left out.
    pub fn parse(text: &'a str) -> Self {
        Self(Mapping::all(text).collect())
    }

    /// Where the library begins.
    pub fn library(&self) -> Option<Mapping<'a>> {
        let is_library = |path: &str| Path::new(path).file_name().is_some_and(|it| it == LIBRARY);
        self.0.iter().copied().find(|it| it.offset == 0 && is_library(it.name()))
    }

    /// Whether there is machine code of the program at an address; the kernel's own lie in the upper half.
    pub fn is_code(&self, address: u64) -> bool {
        address >> 63 == 0 && self.0.iter().any(|it| it.is_code && it.contains(address))
    }
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
        assert_eq!(library.name(), "/usr/lib/a jvm/server/libjvm.so");
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
