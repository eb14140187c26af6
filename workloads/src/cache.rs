//! The payload's state in the page cache, and a check of it.

use std::{
    os::fd::{AsFd, BorrowedFd},
    ptr, thread,
    time::Duration,
};

use rustix::{
    fs::Advice,
    mm::{MapFlags, ProtFlags},
};

use crate::{Cache, Error, Result, page};

/// Attempts to drop the cache: writeback may still hold a page for a moment.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// Brings the first `bytes` of the file into the state and returns how many are then in the page cache. A
/// file system without a disk always keeps all of them there.
pub fn establish(file: impl AsFd, bytes: u64, cache: Cache) -> Result<u64> {
    match cache {
        Cache::Cold => drop_pages(file.as_fd(), bytes),
        Cache::Warm => {
            read_through(file.as_fd(), bytes)?;
            resident(file, bytes)
        }
    }
}

fn drop_pages(file: BorrowedFd<'_>, bytes: u64) -> Result<u64> {
    let mut left = bytes;
    for _ in 0..ATTEMPTS {
        // A length of 0 means up to the end of the file.
        rustix::fs::fadvise(file, 0, None, Advice::DontNeed)
            .map_err(Error::os("drop the payload from the page cache"))?;
        left = resident(file, bytes)?;
        if left == 0 {
            break;
        }
        thread::sleep(BETWEEN_ATTEMPTS);
    }
    Ok(left)
}

/// Reads by position: the file's own position does not change.
fn read_through(file: BorrowedFd<'_>, bytes: u64) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < bytes {
        let read =
            rustix::io::pread(file, &mut buffer, at).map_err(Error::os("read the payload"))?;
        if read == 0 {
            return Err(Error::PayloadLength { expected: bytes, found: at });
        }
        at += read as u64;
    }
    Ok(())
}

/// How many of the file's first `bytes` are in the page cache.
pub fn resident(file: impl AsFd, bytes: u64) -> Result<u64> {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut pages = vec![0_u8; length.div_ceil(page::size())];
    // SAFETY: a new mapping, at an address the kernel chooses, that nobody reads: it takes no page.
    // `mincore` writes one byte a page of it, and `pages` has as many.
    let asked = unsafe {
        let start =
            rustix::mm::mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0)
                .map_err(Error::os("map the payload to look at its page cache"))?;
        let asked = match libc::mincore(start, length, pages.as_mut_ptr()) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        };
        // It cannot fail with the range `mmap` gave.
        let _ = rustix::mm::munmap(start, length);
        asked
    };
    asked.map_err(Error::os("ask which pages of the payload are in the page cache"))?;
    let present = pages.iter().filter(|page| **page & 1 == 1).count() * page::size();
    Ok(bytes.min(present as u64))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_on_a_disk_is_dropped_and_read_again() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let bytes = 100_000;
        file.write_all(&vec![7; bytes as usize]).unwrap();
        file.sync_all().unwrap();
        assert_eq!(establish(&file, bytes, Cache::Warm).unwrap(), bytes);
        if crate::Disk::of(&file).unwrap().device.is_some() {
            assert_eq!(establish(&file, bytes, Cache::Cold).unwrap(), 0);
            assert_eq!(establish(&file, bytes, Cache::Warm).unwrap(), bytes);
        }
    }
}
