//! Makes all memory of the process present, so that none of its own page faults falls into the window.

use std::{fs, hint::black_box, time::Instant};

use rustix::mm::{Advice, MlockAllFlags};

use crate::{Error, Result, user_copy};

/// More stack than a transfer uses.
const STACK: usize = 256 << 10;

/// Makes code, data and stack present, and locks them where that is permitted.
///
/// Later mappings stay lazy: the file mapping of a strategy must take its faults.
pub fn pin() -> Result<()> {
    grow_stack();
    // The kernel maps the clock's page at the first read; neither `mlockall` nor `madvise` does.
    black_box(Instant::now());
    user_copy::copy_once();
    match rustix::mm::mlockall(MlockAllFlags::CURRENT) {
        Ok(()) => Ok(()),
        // Refused beyond RLIMIT_MEMLOCK: pages that are present now are enough.
        Err(_) => populate(),
    }
}

/// The stack's mapping grows with use, and a lock covers only the present part.
#[inline(never)]
fn grow_stack() {
    let mut stack = [0_u8; STACK];
    black_box(&mut stack);
}

fn populate() -> Result<()> {
    let path = "/proc/self/maps";
    let maps = fs::read_to_string(path).map_err(Error::os(format!("read {path}")))?;
    // Collected first: an allocation in between would change the mappings.
    let regions: Vec<_> = maps.lines().filter_map(Region::parse).collect();
    for region in regions {
        // SAFETY: this advice reads pages or prepares them for writing; it changes no content.
        // It fails for mappings of devices and of the kernel, which the transfer does not use.
        let _ =
            unsafe { rustix::mm::madvise(region.start as *mut _, region.length, region.advice) };
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Region {
    start: usize,
    length: usize,
    advice: Advice,
}

impl Region {
    /// Reads a line of `/proc/self/maps`; none for an unreadable region.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let advice = match fields.next()?.as_bytes() {
            [b'r', b'w', _, b'p'] => Advice::LinuxPopulateWrite,
            [b'r', ..] => Advice::LinuxPopulateRead,
            _ => return None,
        };
        Some(Self { start, length: end.checked_sub(start)?, advice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read() {
        let heap = Region::parse("1000-3000 rw-p 00000000 00:00 0   [heap]").unwrap();
        let expected = Region { start: 0x1000, length: 0x2000, advice: Advice::LinuxPopulateWrite };
        assert_eq!(heap, expected);
        let code = Region::parse("1000-3000 r-xp 00000000 fe:00 7   /bin/true").unwrap();
        assert_eq!(code.advice, Advice::LinuxPopulateRead);
        assert_eq!(Region::parse("1000-3000 ---p 00000000 00:00 0"), None);
        assert_eq!(Region::parse("nonsense"), None);
    }

    #[test]
    fn populated_memory_is_present() {
        const PAGES: usize = 256;
        let page = crate::page::size();
        let memory = Vec::<u8>::with_capacity((PAGES + 1) * page);
        let start = (memory.as_ptr() as usize).next_multiple_of(page);
        populate().unwrap();
        let mut present = [0; PAGES];
        // SAFETY: the pages lie in `memory`, and there is a byte for each.
        let answer = unsafe { libc::mincore(start as *mut _, PAGES * page, present.as_mut_ptr()) };
        assert_eq!(answer, 0);
        assert!(present.iter().all(|page| page & 1 == 1), "{present:?}");
    }
}
