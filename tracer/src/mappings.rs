//! The mappings of a process, as `/proc/PID/maps` has them, and their files.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The suffix of a deleted file's path.
const DELETED: &str = " (deleted)";

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// First address in the process's memory.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// The offset of the first address in the file, in bytes.
    pub offset: u64,
    /// Whether it may be executed.
    pub is_code: bool,
    /// The path of the file or another name, such as `[heap]`; empty if there is none.
    pub path: &'a str,
}

impl<'a> Mapping<'a> {
    /// The mappings in the file's text. Lines that are no mapping are left out.
    pub fn all(text: &'a str) -> impl Iterator<Item = Self> {
        text.lines().filter_map(Self::parse)
    }

    /// `start-end permissions offset device inode path`
    fn parse(line: &'a str) -> Option<Self> {
        let number = |text| u64::from_str_radix(text, 16).ok();
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let is_code = fields.next()?.contains('x');
        let offset = number(fields.next()?)?;
        let path = fields.nth(2).unwrap_or_default().trim_start();
        Some(Self { start: number(start)?, end: number(end)?, offset, is_code, path })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether a file is mapped.
    pub fn is_of_file(&self) -> bool {
        self.path.starts_with('/')
    }

    /// Whether the file has been deleted.
    pub fn is_deleted(&self) -> bool {
        self.path.ends_with(DELETED)
    }

    /// The path that the file has, or had.
    pub fn name(&self) -> &'a str {
        self.path.strip_suffix(DELETED).unwrap_or(self.path)
    }

    /// A path to exactly the mapped file, whatever is under its name.
    pub fn exact(&self, pid: u32) -> PathBuf {
        format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end).into()
    }
}

/// The mount namespace of a process: another namespace may have another file under the same path. `pid`: or
/// `self`.
pub fn mounts(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

/// Opens a file that a process chose. A pipe in its place does not block, and is an error.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_mapping() {
        let line =
            "7f10c0028000-7f10c017d000 r-xp 00026000 fe:00 1970  /usr/lib/lib c.so.6 (deleted)";
        let mapping = Mapping::all(line).next().unwrap();
        assert_eq!((mapping.start, mapping.end), (0x7f10_c002_8000, 0x7f10_c017_d000));
        assert_eq!((mapping.offset, mapping.is_code), (0x26000, true));
        assert_eq!(mapping.name(), "/usr/lib/lib c.so.6");
        assert!(mapping.is_of_file() && mapping.is_deleted());
        assert_eq!(mapping.exact(7), PathBuf::from("/proc/7/map_files/7f10c0028000-7f10c017d000"));
        assert!(mapping.contains(0x7f10_c002_8000) && !mapping.contains(0x7f10_c017_d000));
    }

    #[test]
    fn a_mapping_may_have_no_file() {
        let text =
            "8000-9000 rw-p 00000000 00:00 0 \n9000-a000 rw-p 00000000 00:00 0   [heap]\nffff-\n";
        let all: Vec<_> = Mapping::all(text).map(|it| (it.path, it.is_of_file())).collect();
        assert_eq!(all, [("", false), ("[heap]", false)]);
    }

    #[test]
    fn a_pipe_in_place_of_a_file_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(open(&pipe).unwrap_err().to_string(), "not a file");
        open(&file).unwrap();
    }
}
