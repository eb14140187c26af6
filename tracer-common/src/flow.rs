//! Flows of any program: the objects that bytes come from and go to.

/// The process and the two objects that an event is counted under.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The process, a key of the map `PROCESSES`; 0 without one.
    pub process: u32,
    /// Where the bytes came from: a key of the map `OBJECTS`, [`MEMORY`] or [`ANY`].
    pub source: u32,
    /// Where the bytes went to, likewise.
    pub destination: u32,
}

/// No object but the process's own memory.
pub const MEMORY: u32 = 0;
/// As a source: all that was sent through the destination, a socket. The kernel moves the packets later,
/// when the writer is no longer known.
pub const ANY: u32 = u32::MAX;

impl Flow {
    /// An event that belongs to no known flow.
    pub const NONE: Self = Self { process: 0, source: MEMORY, destination: MEMORY };
}

/// A traced process, or what it became by `exec`; with [`Detail::THREADS`], one of its threads.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedProcess {
    /// Its id as users know it.
    pub pid: u32,
    /// Of a thread: its id as users know it; else 0.
    pub thread: u32,
    /// Of a thread: the process it is of, a key of the map `PROCESSES`; else 0.
    pub owner: u32,
    /// Its name (`comm`), ended by a 0.
    pub name: [u8; 16],
}

/// An object's identity, unique as long as the object exists.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `i_ino`
    pub inode: u64,
    /// The address of the inode, because subvolumes share inode numbers; of the anonymous inode, which
    /// many files share, the address of the name.
    pub address: u64,
    /// `s_dev`
    pub device: u32,
    /// `i_generation`: an inode number can be used again.
    pub generation: u32,
    /// With [`Detail::DESCRIPTORS`]: the file descriptor, [`NO_DESCRIPTOR`] for a mapping; else 0.
    pub descriptor: u32,
    /// With [`Detail::DESCRIPTORS`]: the process that holds the descriptor, as users know it.
    pub holder: u32,
}

/// The level of detail: what is told apart besides processes and objects.
pub struct Detail;

impl Detail {
    /// No more than processes and objects.
    pub const PROCESSES: u32 = 0;
    /// The threads of a process.
    pub const THREADS: u32 = 1;
    /// The file descriptors of a process.
    pub const DESCRIPTORS: u32 = 2;
}

/// Path components that an [`Object`] has room for.
pub const DEPTH: usize = 8;
/// Bytes of a path component that it has room for, with a 0 at the end.
pub const COMPONENT: usize = 48;

/// A file, socket, pipe or device, as a file descriptor refers to it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its identity.
    pub identity: Identity,
    /// `i_mode`, whose upper bits say what it is.
    pub mode: u16,
    /// Of a socket: `skc_family`
    pub family: u16,
    /// Of a socket: `sk_type`
    pub kind: u16,
    /// Of a socket: the local port.
    pub local_port: u16,
    /// Of a socket: the remote port.
    pub remote_port: u16,
    /// How many of `path` are filled; one more than fits if the path is longer.
    pub components: u16,
    /// The process that was first seen using it, as users know it.
    pub pid: u32,
    /// The file descriptor in that process; [`NO_DESCRIPTOR`] for a mapping.
    pub descriptor: u32,
    /// Its medium: of a file, `s_magic` of its file system; of a device, `i_rdev`; of a socket,
    /// `sk_protocol`.
    pub medium: u32,
    /// Of a socket: the local address; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Of a socket: the remote address, likewise.
    pub remote: [u8; 16],
    /// Of a file: its path from the root of its file system, the last component first.
    pub path: [[u8; COMPONENT]; DEPTH],
}

/// The descriptor of an object that was not reached by one.
pub const NO_DESCRIPTOR: u32 = u32::MAX;
