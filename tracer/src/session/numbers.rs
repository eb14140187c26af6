//! The kernel's numbers of processes, in a PID namespace: users and `/proc` have other numbers there.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type::BPF_TRACE_ITER, bpf_attr, bpf_cmd};
use tracer_common::Numbered;

use super::bpf;

/// The program that an iterator over tasks runs.
pub const PROGRAM: &str = "processes";

/// The inode of the first namespace (`PROC_PID_INIT_INO`).
const FIRST: u64 = 0xefff_fffc;

/// The PID namespace of this process, by its inode; none if it is the first one.
pub fn namespace() -> io::Result<Option<u32>> {
    let inode = std::fs::metadata("/proc/self/ns/pid")?.ino();
    let numbered = std::fs::read_link("/proc/self")?;
    if numbered != Path::new(&std::process::id().to_string()) {
        return Err(io::Error::other(
            "/proc is of another PID namespace than this program: mount one of its own, by `mount -t proc \
             proc /proc`, or run `unshare` with --mount-proc",
        ));
    }
    // The kernel uses 32 bits of it.
    Ok((inode != FIRST).then_some(inode as u32))
}

/// The iterator that reads the numbers of all processes.
pub struct Numbers {
    iterator: OwnedFd,
}

impl Numbers {
    /// `program`: [`PROGRAM`], loaded.
    pub fn new(program: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: all zeros is valid.
        let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
        attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
        attr.link_create.attach_type = BPF_TRACE_ITER as u32;
        // SAFETY: the command takes no pointers, and returns a descriptor.
        let iterator = unsafe { bpf::open(bpf_cmd::BPF_LINK_CREATE, &mut attr) }?;
        Ok(Self { iterator })
    }

    /// The kernel's number of each process in this namespace, by its number here.
    pub fn all(&self) -> io::Result<BTreeMap<u32, u32>> {
        // SAFETY: all zeros is valid.
        let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
        attr.iter_create.link_fd = self.iterator.as_fd().as_raw_fd() as u32;
        // SAFETY: the command takes no pointers, and returns a descriptor.
        let run = unsafe { bpf::open(bpf_cmd::BPF_ITER_CREATE, &mut attr) }?;
        let mut bytes = Vec::new();
        File::from(run).read_to_end(&mut bytes)?;
        Ok(bytes.chunks_exact(size_of::<Numbered>()).map(pair).collect())
    }
}

/// The fields of a [`Numbered`].
fn pair(bytes: &[u8]) -> (u32, u32) {
    let number = |at| u32::from_ne_bytes(std::array::from_fn(|index| bytes[at + index]));
    (number(0), number(size_of::<u32>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_as_it_is_written() {
        let mut bytes = 7u32.to_ne_bytes().to_vec();
        bytes.extend(4711u32.to_ne_bytes());
        assert_eq!(pair(&bytes), (7, 4711));
    }
}
