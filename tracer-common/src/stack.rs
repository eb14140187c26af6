//! Stacks: the places in the kernel and in the program where bytes were copied.

/// Ids of a kernel's and a program's stack in the map of the key's epoch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stacks {
    /// In the kernel.
    pub kernel: StackId,
    /// In the program.
    pub user: StackId,
}

impl Stacks {
    /// No stack was asked for.
    pub const NONE: Self = Self { kernel: StackId::NONE, user: StackId::NONE };
}

/// One more than the kernel's id of a stack.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(pub u16);

impl StackId {
    /// There is no stack, or none was asked for.
    pub const NONE: Self = Self(0);
    /// There was no room for the stack, or it could not be read.
    pub const LOST: Self = Self(u16::MAX);
}

/// The most stacks that the map of an epoch has room for: ids must fit.
pub const MOST: u32 = 16_384;

/// Take no stacks.
pub const NEVER: u32 = 0;
/// Take the stacks of copies.
pub const AT_COPIES: u32 = 1;
/// Copies are not seen: take the program's stack at the calls that make them.
pub const AT_CALLS: u32 = 2;

/// A mapping of a program's machine code: the file, and the addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// The process; see [`Flow::process`](crate::Flow::process).
    pub process: u32,
    /// The file, a key of the map `OBJECTS`; of an entry without addresses, the process from which
    /// this one was forked and has all its modules.
    pub origin: u32,
    /// First address in the process's memory.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// The offset of the first address in the file, in bytes.
    pub offset: u64,
}
