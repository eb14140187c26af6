//! Objects behind file descriptors: a file, a socket, a pipe, each described once for userspace.

use aya_ebpf::{
    helpers::{
        bpf_get_current_task, bpf_get_current_task_btf, bpf_get_smp_processor_id,
        bpf_probe_read_kernel_str_bytes,
    },
    macros::map,
    maps::{HashMap, LruHashMap, PerCpuArray},
};
use tracer_common::{
    ABSENT, ON_DEMAND,
    flow::{COMPONENT, DEPTH, Detail, Identity, NO_DESCRIPTOR, Object},
    id,
};

use super::{
    counters,
    entry::{Entries as _, Entry},
};
use crate::kernel::{layout, load, number, option, read};

/// Ids of objects.
#[map]
static IDENTITIES: LruHashMap<Identity, u32> = LruHashMap::with_max_entries(1, 0);

/// Descriptions of the objects that userspace has not read yet, by id.
#[map]
static OBJECTS: HashMap<u32, Object> = HashMap::with_max_entries(1, ON_DEMAND);

/// Scratch space for an object: it is too large for the stack.
#[map]
static DRAFT: PerCpuArray<Object> = PerCpuArray::with_max_entries(1, 0);

/// The number of ids that this CPU has given out.
#[map]
static GIVEN_OUT: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// Attempts to insert a description into its map.
const ATTEMPTS: u32 = 3;

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const S_IFCHR: u16 = 0o020_000;
const S_IFBLK: u16 = 0o060_000;
/// In `file.f_flags`.
const O_DIRECT: u32 = 0o40_000;
/// In `file.f_mode`.
const FMODE_WRITE: u32 = 2;
/// In `inode.i_flags`.
const S_PRIVATE: u32 = 0x200;

/// An id that no other object or process has until this CPU has given out millions more: never `MEMORY`,
/// and never `ANY`.
#[inline(always)]
pub fn new_id() -> Option<u32> {
    // No other CPU has this one's entry.
    let mut count = GIVEN_OUT.entry(&0)?;
    let cpu_bits = option!(cpu_bits);
    *count = id::next(*count, cpu_bits);
    // SAFETY: the helper has no preconditions.
    Some(id::of(*count, unsafe { bpf_get_smp_processor_id() }, cpu_bits))
}

/// The `struct file` behind the current process's file descriptor `fd`.
#[inline(always)]
pub fn file_of(fd: u32) -> Option<u64> {
    let file: u64 = read(descriptors()?, fd.checked_mul(8)?)?;
    (file != 0).then_some(file)
}

/// The current process's table of descriptors.
#[inline(always)]
fn descriptors() -> Option<u64> {
    let [files, table, entries] = [layout!(task_files), layout!(files_fdt), layout!(fdtable_fd)];
    if files == ABSENT || table == ABSENT || entries == ABSENT {
        return None;
    }
    if layout!(helper_get_current_task_btf) == ABSENT {
        // SAFETY: the helper has no preconditions.
        let task = unsafe { bpf_get_current_task() };
        return read(read(read(task, files)?, table)?, entries);
    }
    // SAFETY: the verifier knows the types of the task and of the structures it points to.
    Some(unsafe { load(load(load(bpf_get_current_task_btf().cast(), files), table), entries) })
}

/// Whether `file` is a socket.
#[inline(always)]
pub fn is_socket(file: u64) -> bool {
    read(file, layout!(file_inode))
        .and_then(|inode| read::<u16>(inode, layout!(inode_mode)))
        .is_some_and(|mode| mode & S_IFMT == S_IFSOCK)
}

/// Whether writes to `file` bypass the page cache.
#[inline(always)]
pub fn is_direct(file: u64) -> bool {
    read::<u32>(file, layout!(file_flags)).is_some_and(|flags| flags & O_DIRECT != 0)
}

/// Whether `file` can be written.
#[inline(always)]
pub fn is_writable(file: u64) -> bool {
    read::<u32>(file, layout!(file_mode)).is_none_or(|mode| mode & FMODE_WRITE != 0)
}

/// Whether `file` is internal to the kernel, without a name: it holds memory that processes share without
/// a file.
#[inline(always)]
pub fn is_hidden(file: u64) -> bool {
    read(file, layout!(file_inode))
        .and_then(|inode| read::<u32>(inode, layout!(inode_flags)))
        .is_some_and(|flags| flags & S_PRIVATE != 0)
}

/// The id of the object behind `file`, which the current process has open as `descriptor`.
#[inline(always)]
pub fn of_file(file: u64, descriptor: u32) -> Option<u32> {
    known(id_of_file(file, descriptor))
}

/// The id of a file that a process has mapped.
#[inline(always)]
pub fn of_mapping(file: u64) -> Option<u32> {
    known(id_of_mapping(file))
}

/// As [`of_file`]. Functions of their own return one number: 0 if the file could not be read.
#[inline(never)]
fn id_of_file(file: u64, descriptor: u32) -> u32 {
    read(file, layout!(file_inode)).and_then(|inode| identify(file, inode, descriptor)).unwrap_or(0)
}

/// As [`of_mapping`].
#[inline(never)]
fn id_of_mapping(file: u64) -> u32 {
    mapped(file).and_then(|inode| identify(file, inode, NO_DESCRIPTOR)).unwrap_or(0)
}

#[inline(always)]
fn known(id: u32) -> Option<u32> {
    if id == 0 {
        counters::lost();
        return None;
    }
    Some(id)
}

/// The inode of a mapped file. A stacked file system, such as overlayfs in a container, maps the file of
/// the layer below. Up to 6.4 the mapped file has the path that programs opened, and the inode is that
/// path's; later kernels give only the inode of the layer below.
#[inline(always)]
fn mapped(file: u64) -> Option<u64> {
    let dentry: u64 = read(file, layout!(file_dentry))?;
    read(dentry, layout!(dentry_inode))
}

#[inline(always)]
fn identify(file: u64, inode: u64, descriptor: u32) -> Option<u32> {
    let (descriptor_of, holder) = match option!(detail) {
        Detail::DESCRIPTORS => (descriptor, number::of_current_process()?),
        _ => (0, 0),
    };
    let mode: u16 = read(inode, layout!(inode_mode))?;
    let is_anonymous = mode & S_IFMT == 0;
    let identity = Identity {
        inode: read(inode, layout!(inode_number))?,
        address: if is_anonymous { read(file, layout!(file_dentry))? } else { inode },
        device: read(read(inode, layout!(inode_super))?, layout!(super_device))?,
        generation: read(inode, layout!(inode_generation))?,
        descriptor: descriptor_of,
        holder,
    };
    // SAFETY: the map's entries are read as a whole.
    if let Some(id) = unsafe { IDENTITIES.get(identity) } {
        return Some(*id);
    }
    let id = new_id()?;
    let object = describe(file, inode, identity, descriptor)?;
    // The kernel may have to allocate memory for it, in an interrupt that follows at once.
    let described = (0..ATTEMPTS).any(|_| OBJECTS.insert(id, &*object, 0).is_ok());
    if described {
        // Without this entry the object is described again the next time.
        let _ = IDENTITIES.insert(identity, id, 0);
    }
    // Without a description the object has no name, but keeps its bytes.
    Some(id)
}

#[inline(always)]
fn describe(file: u64, inode: u64, identity: Identity, descriptor: u32) -> Option<Entry<Object>> {
    // No other CPU has this one's entry.
    let mut draft = DRAFT.entry(&0)?;
    let object = &mut *draft;
    object.identity = identity;
    object.mode = read(inode, layout!(inode_mode))?;
    object.pid = number::of_current_process()?;
    object.descriptor = descriptor;
    (object.family, object.kind, object.components) = (0, 0, 0);
    object.medium = 0;
    if object.mode & S_IFMT == S_IFSOCK {
        describe_socket(object, read(file, layout!(file_private_data))?)?;
    } else {
        object.medium = match object.mode & S_IFMT {
            S_IFCHR | S_IFBLK => read(inode, layout!(inode_device)),
            _ => read(read(inode, layout!(inode_super))?, layout!(super_magic)),
        }
        .unwrap_or(0);
        describe_path(object, read(file, layout!(file_dentry))?);
    }
    Some(draft)
}

#[inline(always)]
fn describe_socket(object: &mut Object, socket: u64) -> Option<()> {
    let sock: u64 = read(socket, layout!(socket_sk))?;
    object.family = read(sock, layout!(sock_family))?;
    let protocol: u16 = read(sock, layout!(sock_protocol))?;
    object.medium = u32::from(protocol);
    object.kind = read(sock, layout!(sock_type))?;
    object.local_port = read(sock, layout!(sock_local_port))?;
    object.remote_port = u16::from_be(read(sock, layout!(sock_remote_port))?);
    (object.local, object.remote) = ([0; 16], [0; 16]);
    match object.family {
        AF_INET => {
            let [local, remote] = [layout!(sock_local), layout!(sock_remote)];
            object.local[..4].copy_from_slice(&read::<[u8; 4]>(sock, local)?);
            object.remote[..4].copy_from_slice(&read::<[u8; 4]>(sock, remote)?);
        }
        AF_INET6 => {
            object.local = read(sock, layout!(sock_local6))?;
            object.remote = read(sock, layout!(sock_remote6))?;
        }
        _ => {}
    }
    Some(())
}

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;

/// Components from the file up to the root of its file system.
#[inline(always)]
fn describe_path(object: &mut Object, file: u64) {
    let mut dentry = file;
    for index in 0..=DEPTH {
        let Some(parent) = read::<u64>(dentry, layout!(dentry_parent)) else { return };
        if parent == dentry {
            return;
        }
        object.components = index as u16 + 1;
        let Some(component) = object.path.get_mut(index) else { return };
        let Some(name) = read::<u64>(dentry, layout!(dentry_name)) else { return };
        component[0] = 0;
        let room: &mut [u8; COMPONENT] = component;
        // SAFETY: the helper checks the address.
        let _ = unsafe { bpf_probe_read_kernel_str_bytes(name as *const u8, room) };
        dentry = parent;
    }
}
