//! The perf map of a just-in-time compiler: `/tmp/perf-PID.map`, a line `START SIZE NAME` for each,
//! numbers in hexadecimal (the kernel's tools/perf/Documentation/jit-interface.txt).
//!
//! Anyone can create a file in `/tmp`: it is trusted only if the program's own user or root owns it, and
//! no kind of file makes this program wait, or read without end.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    time::SystemTime,
};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

/// More bytes than compilers write.
const LARGEST: u64 = 64 << 20;

/// The number of programs whose functions are kept.
const MOST: usize = 16;

/// The functions of some programs, by their ids.
#[derive(Default)]
pub struct PerfMaps(HashMap<u32, PerfMap>);

/// The functions of a program.
#[derive(Default)]
struct PerfMap {
    /// Size and time of the file when it was read.
    read: Option<(u64, SystemTime)>,
    /// By their first address: the address after the last one, and the name.
    functions: BTreeMap<u64, (u64, String)>,
}

impl PerfMaps {
    /// The function at an address of a live process.
    pub fn function(&mut self, pid: u32, address: u64) -> Option<String> {
        if self.0.len() >= MOST && !self.0.contains_key(&pid) {
            self.0.clear();
        }
        let map = self.0.entry(pid).or_default();
        if let Err(error) = map.refresh(pid) {
            log::debug!("process {pid} has no perf map: {error}");
        }
        map.function(address)
    }
}

impl PerfMap {
    /// Reads the file if it has changed: compilers append to it.
    fn refresh(&mut self, pid: u32) -> io::Result<()> {
        let file = open(pid)?;
        let found = file.metadata()?;
        let now = (found.len(), found.modified()?);
        if self.read != Some(now) {
            let mut text = Vec::new();
            file.take(LARGEST).read_to_end(&mut text)?;
            self.functions = String::from_utf8_lossy(&text).lines().filter_map(line).collect();
            self.read = Some(now);
        }
        Ok(())
    }

    fn function(&self, address: u64) -> Option<String> {
        let (_, (end, name)) = self.functions.range(..=address).next_back()?;
        (address < *end).then(|| name.clone())
    }
}

fn line(line: &str) -> Option<(u64, (u64, String))> {
    let mut fields = line.splitn(3, ' ');
    let mut number = || u64::from_str_radix(fields.next()?.trim_start_matches("0x"), 16).ok();
    let (start, size) = (number()?, number()?);
    Some((start, (start.checked_add(size)?, fields.next()?.trim_end().to_owned())))
}

/// The file, in the process's own root and under its own id.
fn open(pid: u32) -> io::Result<File> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let missing = || io::Error::from(io::ErrorKind::InvalidData);
    // Real, effective, saved and file system id.
    let user: u32 = field("Uid:")
        .and_then(|users| users.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(missing)?;
    let own = field("NSpid:").and_then(|ids| ids.split_whitespace().next_back());
    let own = own.map_or_else(|| pid.to_string(), str::to_owned);
    let root = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{pid}/root"), root, Mode::empty())?;
    // A special file does not block, and symbolic links are not followed.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = format!("/tmp/perf-{own}.map");
    let file = File::from(openat2(root, path, flags | OFlags::NOFOLLOW, Mode::empty(), within)?);
    trusted(&file.metadata()?, user)?;
    Ok(file)
}

fn trusted(found: &std::fs::Metadata, user: u32) -> io::Result<()> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !found.is_file() {
        return refuse("it is no regular file".to_owned());
    }
    if ![0, user].contains(&found.uid()) {
        return refuse(format!("it is of user {}, the process of user {user}", found.uid()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn functions_are_found_by_what_they_span() {
        let text = "1000 20 LazyCompile:~serve all.js:1\n0x2000 0x10 other\nrubbish\n30 zz x\n";
        let map = PerfMap { read: None, functions: text.lines().filter_map(line).collect() };
        assert_eq!(map.function(0x101f).as_deref(), Some("LazyCompile:~serve all.js:1"));
        assert_eq!(map.function(0x2000).as_deref(), Some("other"));
        for nowhere in [0, 0xfff, 0x1020, 0x2010, u64::MAX] {
            assert_eq!(map.function(nowhere), None, "{nowhere:#x}");
        }
    }

    #[test]
    fn a_strangers_file_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map");
        std::fs::write(&path, "").unwrap();
        let found = std::fs::metadata(&path).unwrap();
        assert!(trusted(&found, found.uid()).is_ok());
        assert_eq!(trusted(&found, found.uid() + 1).is_ok(), found.uid() == 0);
        assert!(trusted(&std::fs::metadata("/dev/null").unwrap(), 0).is_err());
    }

    #[test]
    fn a_pipe_of_that_name_does_not_block() {
        let pid = std::process::id();
        let path = format!("/tmp/perf-{pid}.map");
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let found = open(pid);
        std::fs::remove_file(path).unwrap();
        assert_eq!(found.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    proptest! {
        #[test]
        fn any_line_can_be_read(text in ".{0,60}", start: u64, size: u64) {
            line(&text);
            line(&format!("{start:x} {size:x} name"));
        }
    }
}
