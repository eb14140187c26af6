//! The blocks of a file on the disk that another file shares.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// `FS_IOC_FIEMAP`, `FIEMAP_EXTENT_LAST` and `FIEMAP_EXTENT_SHARED` of `linux/fiemap.h`.
const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
const EXTENT_LAST: u32 = 0x1;
const EXTENT_SHARED: u32 = 0x2000;

/// Extents asked for at a time.
const EXTENTS: usize = 64;

/// `struct fiemap_extent`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [u64; 2],
    flags: u32,
    reserved_too: [u32; 3],
}

/// `struct fiemap` with room for the answer.
#[repr(C)]
struct Request {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    room: u32,
    reserved: u32,
    extents: [Extent; EXTENTS],
}

/// How many of the file's first `bytes` are in blocks that another file shares; 0 where the file system
/// cannot tell.
pub fn shared(file: BorrowedFd<'_>, bytes: u64) -> u64 {
    // A file system without this call shares no blocks.
    count(file, bytes).unwrap_or(0)
}

fn count(file: BorrowedFd<'_>, bytes: u64) -> io::Result<u64> {
    let (mut at, mut shared) = (0, 0);
    while at < bytes {
        let extents = ask(file, at, bytes - at)?;
        for extent in &extents {
            let (start, end) = (extent.logical, extent.logical + extent.length);
            if extent.flags & EXTENT_SHARED != 0 {
                shared += end.min(bytes).saturating_sub(start.max(at));
            }
            at = end.max(at);
        }
        if extents.last().is_none_or(|last| last.flags & EXTENT_LAST != 0) {
            break;
        }
    }
    Ok(shared)
}

fn ask(file: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<Vec<Extent>> {
    let mut request = Request {
        start,
        length,
        flags: 0,
        mapped: 0,
        room: EXTENTS as u32,
        reserved: 0,
        extents: [Extent::default(); EXTENTS],
    };
    // SAFETY: the kernel writes at most `room` extents, and there is room for as many.
    if unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request.extents[..(request.mapped as usize).min(EXTENTS)].to_vec())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::AsFd};

    use super::*;

    #[test]
    fn a_file_of_its_own_shares_nothing() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        file.sync_all().unwrap();
        let extents = ask(file.as_fd(), 0, 100_000).unwrap();
        assert!(extents.iter().map(|extent| extent.length).sum::<u64>() >= 100_000);
        assert_eq!(shared(file.as_fd(), 100_000), 0);
    }

    #[test]
    fn what_has_no_extents_shares_none() {
        assert_eq!(shared(std::fs::File::open("/dev/null").unwrap().as_fd(), 4096), 0);
    }
}
