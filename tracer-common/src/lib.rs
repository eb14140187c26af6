//! Types shared by userspace and the eBPF programs, and nothing else.
//!
//! Every type is `repr(C)` without undefined bytes: padding is a named field.
#![no_std]
#[cfg(test)]
extern crate std;

pub mod arrival;
pub mod flow;
pub mod id;
pub mod signal;
pub mod stack;

pub use arrival::Arrived;
pub use flow::Flow;
pub use stack::Stacks;

/// The window marker: a `prctl` whose option no kernel knows.
///
/// The kernel answers `EINVAL` and does nothing; the syscall tracepoint sees it on the way in.
/// The marker itself is never counted.
pub mod marker {
    /// First argument of the `prctl` ("ctrc").
    pub const OPTION: u32 = 0x6374_7263;
    /// Second argument: open the window; the third argument is the socket's file descriptor, or -1.
    /// In an open window it adds that socket.
    pub const OPEN: u64 = 1;
    /// Second argument: close the window.
    pub const CLOSE: u64 = 2;
}

/// The kinds of events that a [`Tally`] counts. Each comment says what its `bytes` are, and the meaning
/// of `kind`, `detail` and `address` in its [`Key`].
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A system call. `detail`: its number; `kind`: see [`call`]. Bytes: its positive return
    /// values.
    Syscall = 1,
    /// An operation of io_uring has ended. `detail`: its opcode; `kind`: see [`operation`]. Bytes: its
    /// positive results.
    IoUring,
    /// A page fault taken in user mode.
    FaultUser,
    /// A page fault taken in kernel mode.
    FaultKernel,
    /// The scheduler took the CPU away because the task had to wait.
    SwitchVoluntary,
    /// The scheduler took the CPU away from a task that could have run on.
    SwitchInvoluntary,
    /// A call to a copy routine. `address`: of the call; `kind`: the iterator's `iter_type`, or
    /// [`NO_ITERATOR`]; `detail`: 1 if the iterator's source is the page cache: its pages, or the
    /// program's mapping of a file. Bytes: asked for.
    CopySite,
    /// A function of the program itself that copies was entered. `kind`: see [`user_copy`]. Bytes:
    /// its third argument.
    UserCopy,
    /// A leaf copy routine was entered, seen by a hardware breakpoint. `address`: its return address;
    /// `kind`: as for a copy site; `detail`: see [`leaf`].
    Leaf,
    /// A function returned how many bytes it passed on by reference. `detail`: a [`Function`];
    /// `kind`: see [`owner`]; [`owner::PAGE_CACHE`] where pages are not looked at.
    Reference,
    /// The kernel enciphered bytes. `detail`: a [`Function`]; `kind`: see [`owner`], of the plain
    /// text.
    Cipher,
    /// Bytes of a socket's packets were copied inside the kernel. `detail`: a [`Function`];
    /// `kind`: 1 if the bytes were sent before.
    PacketCopy,
    /// Packet bytes were copied to a program, seen by the tracepoint.
    SkbToUser,
    /// A read of file content was queued to a block device. `kind`: 1 if into memory of a
    /// program, past the page cache.
    DiskRead,
    /// A read of file system metadata was queued to a block device.
    DiskMetadata,
    /// Payload given to a network device for the first time. `detail`: its interface index; `kind`: 1,
    /// because only devices on a bus take bytes by DMA.
    NicPayload,
    /// Protocol headers given to a network device; as above.
    NicHeader,
    /// Payload given to a network device again. `kind`: 0 for a virtual one.
    NicRetransmit,
    /// Payload that lay in the packet's linear part when the device got it; as above.
    NicLinear,
    /// The stub of a Java virtual machine that copies in its memory was entered. `address`: to which it
    /// returns, where stacks are taken. Bytes: its third argument.
    JvmCopy,
}

/// The functions with a program of their own, as the `detail` of [`Event::Reference`] and
/// [`Event::PacketCopy`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// `skb_splice_from_iter`, or its forerunner on kernels before 6.5.
    SpliceToSocket = 1,
    /// `skb_copy_bits`.
    CopyBits,
    /// `skb_copy_and_csum_bits`.
    CopyAndChecksumBits,
    /// `skb_copy_ubufs`: pages of a zero-copy send that reach a receiver on this machine.
    CopyUserFragments,
    /// `skb_zerocopy_iter_stream`: pages of `MSG_ZEROCOPY`.
    ZeroCopy,
    /// `filemap_splice_read`.
    SpliceFromFile,
    /// `crypto_aead_encrypt`.
    Encrypt,
    /// `tcp_splice_read`.
    SpliceFromSocket,
    /// `__zerocopy_sg_from_iter`: pages of a datagram with `MSG_ZEROCOPY`.
    ZeroCopyDatagram,
}

/// The owner of a page's memory.
pub mod owner {
    /// The page cache: as a rule, of a file.
    pub const PAGE_CACHE: u8 = 0;
    /// Memory of a program.
    pub const PROGRAM: u8 = 1;
    /// The kernel.
    pub const KERNEL: u8 = 2;
}

/// Facts about a system call's bytes, read from its arguments.
pub mod call {
    /// Nothing that changes the way of its bytes.
    pub const PLAIN: u8 = 0;
    /// `write` or `writev` out of the process's mapping of a file.
    pub const FROM_MAPPING: u8 = 1;
    /// Out of a buffer that a traced read has filled: the source of the bytes is known.
    pub const LINKED: u8 = 2;
    /// TLS records, by the first bytes of the buffer.
    pub const TLS: u8 = 3;
    /// A flag besides these: into a file that was opened with `O_DIRECT`.
    pub const DIRECT: u8 = 0x80;
    /// A flag besides these: into a socket with a kernel protocol above TCP, such as TLS. The bytes do
    /// not go straight into packets.
    pub const UPPER: u8 = 0x40;
    /// A flag besides these: `send` with `MSG_ZEROCOPY`.
    pub const ZERO_COPY: u8 = 0x20;
    /// All flags.
    pub const BESIDES: u8 = DIRECT | UPPER | ZERO_COPY;
}

/// The object of an operation of io_uring.
pub mod operation {
    /// It is on anything but a traced socket.
    pub const OTHER: u8 = 0;
    /// It is on a traced socket.
    pub const ON_SOCKET: u8 = 1;
}

/// The end of a program's own copy that is a mapping of a file: bits of its `kind`.
pub mod user_copy {
    /// The source.
    pub const FROM_MAPPING: u8 = 1;
    /// The destination.
    pub const TO_MAPPING: u8 = 2;
}

/// Java virtual machines.
pub mod jvm {
    /// Of so many processes at once the stubs can be known.
    pub const MOST: u32 = 256;
}

/// A map's flag (`BPF_F_NO_PREALLOC`): entries are allocated when they are inserted. Most traced programs
/// need few, and a map with room for many then costs next to nothing.
pub const ON_DEMAND: u32 = 1;

/// Placeholders for calls to kernel functions (kfuncs): the loader puts in the ids of those that the
/// kernel has. No helper has these numbers.
pub mod preemption {
    /// `bpf_preempt_disable`
    pub const DISABLE: i32 = 0x7072_6501;
    /// `bpf_preempt_enable`
    pub const ENABLE: i32 = 0x7072_6502;
}

/// The `detail` of [`Event::Leaf`].
pub mod leaf {
    /// As for a copy site; of a copy out of a packet, 1 if it is a retransmission.
    pub const DETAIL: u32 = 1;

    /// A `detail`: the routine's index among those that have breakpoints, and the copy site's detail.
    pub const fn detail(routine: u8, detail: u32) -> u32 {
        (routine as u32) << 1 | detail & DETAIL
    }

    /// The routine of a `detail`.
    pub const fn routine(detail: u32) -> usize {
        (detail >> 1) as usize
    }
}

/// `kind` of a copy whose routine takes no iterator.
pub const NO_ITERATOR: u8 = 0xff;

/// The key of a counter.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// An [`Event`].
    pub event: u8,
    /// Userspace reads the counters of one epoch while those of the other are counted.
    pub epoch: u8,
    /// See [`Event`].
    pub kind: u8,
    /// 0: no undefined bytes.
    pub unused: u8,
    /// See [`Event`].
    pub detail: u32,
    /// See [`Event`].
    pub address: u64,
    /// The flow.
    pub flow: Flow,
    /// The stacks of the kernel and of the program, if they are asked for.
    pub stacks: Stacks,
    /// The CPU: each has counters of its own, allocated when it first needs them. 0 in sums over the
    /// CPUs.
    pub cpu: u32,
    /// No undefined bytes.
    pub padding: u32,
}

/// Bytes and events of one [`Key`] on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// See [`Event`].
    pub bytes: u64,
    /// How many events.
    pub calls: u64,
    /// Their cost, if they are data calls.
    pub spent: Spent,
}

impl Tally {
    /// Bytes and events that cost nothing.
    pub const fn new(bytes: u64, calls: u64) -> Self {
        Self { bytes, calls, spent: Spent::NONE }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.calls += other.calls;
        self.spent.time += other.spent.time;
        self.spent.cycles += other.spent.cycles;
    }
}

/// Time and cycles spent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time on CPUs in ns.
    pub time: u64,
    /// Cycles of the processor, where they are counted.
    pub cycles: u64,
}

impl Spent {
    /// No time and no cycles.
    pub const NONE: Self = Self { time: 0, cycles: 0 };
}

/// State of a traced process's window.
pub mod window {
    /// Nothing is counted.
    pub const CLOSED: u32 = 0;
    /// The opening marker was seen; its return opens the window.
    pub const ARMED: u32 = 1;
    /// Everything is counted.
    pub const OPEN: u32 = 2;
    /// The next `exec` opens the window.
    pub const AT_EXEC: u32 = 3;
}

/// A traced process, keyed by its thread group id as the kernel has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// See [`window`].
    pub window: u32,
    /// Its id in flows; see [`Flow::process`].
    pub process: u32,
    /// Its id as users know it.
    pub pid: u32,
    /// No undefined bytes.
    pub padding: u32,
    /// With [`Options::windows`]: the last two files it mapped in its window, the latest first.
    pub mappings: [Mapping; 2],
}

impl Task {
    /// A process that has mapped nothing yet. `pid`: as users know it.
    pub const fn new(window: u32, process: u32, pid: u32) -> Self {
        let mappings = [Mapping { start: 0, end: 0 }; 2];
        Self { window, process, pid, padding: 0, mappings }
    }
}

/// A process's numbers: in the user's PID namespace, and in the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbered {
    /// In the user's PID namespace.
    pub here: u32,
    /// In the first one: the `tgid`.
    pub kernel: u32,
}

/// Where a file is mapped.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First address; 0 without a mapping.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
}

/// The two ends of a packet, as its headers have them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Address of the sender; of IPv4, in the first four bytes.
    pub source: [u8; 16],
    /// Address of the receiver, likewise.
    pub destination: [u8; 16],
    /// Their ports.
    pub ports: [u16; 2],
}

/// A socket that belongs to a traced process, keyed by the address of its `struct sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Such as `IPPROTO_TCP`.
    pub protocol: u16,
    /// Whether `next_sequence` is known: no packet was seen before the first.
    pub sequence_known: [u8; 2],
    /// TCP sequence number after the last byte given to a virtual device, and to one on a bus: a
    /// packet goes through both where devices are stacked.
    pub next_sequence: [u32; 2],
    /// The bytes copied for a receiver on this machine.
    pub arrived: Arrived,
    /// The addresses and ports in its packets.
    pub ends: Ends,
    /// Its flow: the process and the objects.
    pub flow: Flow,
}

/// Where a copy routine finds its arguments, keyed by the address of the call, or by the
/// routine's own for a breakpoint.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Index of the argument that holds the byte count.
    pub count_argument: u8,
    /// Index of the argument that points to the iterator, or [`NO_ITERATOR`].
    pub iterator_argument: u8,
    /// 1 if the iterator is the source of the copy, 0 if it is the destination.
    pub from_iterator: u8,
    /// 1 if the copy belongs to the socket of the packet in the first argument, 0 if to the
    /// current process.
    pub by_socket: u8,
    /// Of a routine that has breakpoints: its index among those.
    pub routine: u8,
    /// No undefined bytes.
    pub padding: [u8; 3],
}

/// The facts of the running kernel's BTF that the programs need: byte offsets of fields, values of
/// enumerators. A field this kernel does not have is [`ABSENT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `task_struct.files`
    pub task_files: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.fd`
    pub fdtable_fd: u32,
    /// `file.private_data`
    pub file_private_data: u32,
    /// `socket.sk`
    pub socket_sk: u32,
    /// `sk_buff.sk`
    pub skb_sk: u32,
    /// `sk_buff.len`
    pub skb_len: u32,
    /// `sk_buff.data_len`
    pub skb_data_len: u32,
    /// `sk_buff.head`
    pub skb_head: u32,
    /// `sk_buff.data`
    pub skb_data: u32,
    /// `sk_buff.transport_header`
    pub skb_transport_header: u32,
    /// `sk_buff.network_header`
    pub skb_network_header: u32,
    /// `net_device.ifindex`
    pub netdev_ifindex: u32,
    /// `net_device.dev.parent`
    pub netdev_parent: u32,
    /// `bio.bi_opf`
    pub bio_opf: u32,
    /// `bio.bi_iter.bi_size`
    pub bio_size: u32,
    /// `bio.bi_flags`
    pub bio_flags: u32,
    /// `bio.bi_io_vec`
    pub bio_vectors: u32,
    /// `bio_vec.bv_page`
    pub vector_page: u32,
    /// `page.mapping`
    pub page_mapping: u32,
    /// `page.compound_head`, or `page.compound_info`
    pub page_head: u32,
    /// Bit number `BIO_CLONED` in `bi_flags`
    pub bio_cloned_bit: u32,
    /// Bit number `__REQ_META` in `bi_opf`
    pub bio_meta_bit: u32,
    /// Index of the `bio` among the arguments of `block_bio_queue`
    pub bio_argument: u32,
    /// `iov_iter.iter_type`, or `iov_iter.type`
    pub iter_type: u32,
    /// `iov_iter.type`, whose lowest bit is the direction
    pub iter_type_with_direction: u32,
    /// `iov_iter.ubuf`
    pub iter_ubuf: u32,
    /// `iov_iter.__iov`, or `iov_iter.iov`
    pub iter_iov: u32,
    /// `iov_iter.iov_offset`
    pub iter_offset: u32,
    /// `iov_iter.bvec`
    pub iter_bvec: u32,
    /// `iov_iter.count`
    pub iter_count: u32,
    /// `sock.__sk_common.skc_num`
    pub sock_local_port: u32,
    /// `sock.__sk_common.skc_dport`
    pub sock_remote_port: u32,
    /// `sock.sk_protocol`
    pub sock_protocol: u32,
    /// Enumerator `ITER_BVEC`
    pub kind_bvec: u32,
    /// Enumerator `ITER_UBUF`
    pub kind_ubuf: u32,
    /// Enumerator `ITER_IOVEC`
    pub kind_iovec: u32,
    /// Argument of `sched_switch` that holds the state of the task that leaves
    pub switch_state_argument: u32,
    /// `io_kiocb.opcode`
    pub operation_code: u32,
    /// `io_kiocb.cqe.res`
    pub operation_result: u32,
    /// `io_kiocb.file`
    pub operation_file: u32,
    /// `inet_connection_sock.icsk_ulp_ops`
    pub sock_upper_protocol: u32,
    /// `aead_request.cryptlen`
    pub cipher_length: u32,
    /// `aead_request.src`
    pub cipher_source: u32,
    /// `aead_request.base.tfm`
    pub cipher_transform: u32,
    /// `crypto_tfm.__crt_alg`
    pub transform_algorithm: u32,
    /// `crypto_alg.cra_flags`
    pub algorithm_flags: u32,
    /// `scatterlist.page_link`
    pub scatter_link: u32,
    /// Size of a `scatterlist`
    pub scatter_size: u32,
    /// `task_struct.__state`, or `task_struct.state`, where that argument is [`ABSENT`]
    pub task_state: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `file.f_path.dentry`
    pub file_dentry: u32,
    /// `inode.i_mode`
    pub inode_mode: u32,
    /// `inode.i_flags`
    pub inode_flags: u32,
    /// `inode.i_ino`
    pub inode_number: u32,
    /// `inode.i_generation`
    pub inode_generation: u32,
    /// `inode.i_sb`
    pub inode_super: u32,
    /// `super_block.s_dev`
    pub super_device: u32,
    /// `super_block.s_magic`
    pub super_magic: u32,
    /// `inode.i_rdev`
    pub inode_device: u32,
    /// `file.f_flags`
    pub file_flags: u32,
    /// `file.f_mode`
    pub file_mode: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
    /// `sock.__sk_common.skc_family`
    pub sock_family: u32,
    /// `sock.sk_type`
    pub sock_type: u32,
    /// `sock.__sk_common.skc_state`
    pub sock_state: u32,
    /// `sock.__sk_common.skc_rcv_saddr`
    pub sock_local: u32,
    /// `sock.__sk_common.skc_daddr`
    pub sock_remote: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`
    pub sock_local6: u32,
    /// `sock.__sk_common.skc_v6_daddr`
    pub sock_remote6: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `signal_struct.live`
    pub signal_live: u32,
    /// Index of the socket among the arguments of `__zerocopy_sg_from_iter`
    pub datagram_socket_argument: u32,
    /// The helper `bpf_get_func_ret`
    pub helper_get_func_ret: u32,
    /// The helper `bpf_find_vma`
    pub helper_find_vma: u32,
    /// The helper `bpf_task_pt_regs`
    pub helper_task_pt_regs: u32,
    /// The helper `bpf_get_current_task_btf`
    pub helper_get_current_task_btf: u32,
    /// `vm_area_struct.vm_file`
    pub area_file: u32,
    /// `vm_area_struct.vm_flags`
    pub area_flags: u32,
    /// `vm_area_struct.vm_start`
    pub area_start: u32,
    /// `vm_area_struct.vm_end`
    pub area_end: u32,
    /// `vm_area_struct.vm_pgoff`
    pub area_offset: u32,
    /// `task_struct.mm`
    pub task_memory: u32,
    /// `mm_struct.start_code`
    pub memory_code: u32,
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `dentry.d_inode`
    pub dentry_inode: u32,
    /// `task_struct.thread_pid`
    pub task_thread_pid: u32,
    /// `signal_struct.pids`
    pub signal_pids: u32,
    /// `pid.level`
    pub pid_level: u32,
    /// `pid.numbers`
    pub pid_numbers: u32,
    /// Size of a `upid`
    pub number_size: u32,
    /// `upid.nr`
    pub number_value: u32,
    /// `upid.ns`
    pub number_namespace: u32,
    /// `pid_namespace.ns.inum`
    pub namespace_inode: u32,
    /// `task_struct.comm`
    pub task_name: u32,
    /// `tracepoint_ext.faultable`
    pub tracepoint_faultable: u32,
    /// `cgroup.kn`
    pub cgroup_node: u32,
    /// `kernfs_node.id`
    pub node_id: u32,
    /// `cgroup.self.parent`
    pub cgroup_parent: u32,
    /// `cgroup_subsys_state.cgroup`
    pub state_cgroup: u32,
    /// `cgroup.root`
    pub cgroup_root: u32,
    /// `cgroup_root.hierarchy_id`
    pub root_hierarchy: u32,
}

/// Options that userspace sets, besides the counters of flows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// One of [`stack::NEVER`], [`stack::AT_COPIES`] and [`stack::AT_CALLS`].
    pub stacks: u32,
    /// One of [`flow::Detail`].
    pub detail: u32,
    /// Not 0: measure the time that data calls take on CPUs.
    pub times: u32,
    /// Not 0: read the processor's cycles, of which there is a counter for each CPU.
    pub cycles: u32,
    /// Not 0: leave out packets given to virtual devices. These move nothing by DMA, and are needed only
    /// where copies of packets are seen, to tell retransmissions.
    pub skip_virtual: u32,
    /// The name of programs to trace from their start, whoever starts them; as the kernel has it
    /// (`TASK_COMM_LEN`, filled up with zeros), and all zeros for none.
    pub comm: [u32; 4],
    /// The id of the control group whose programs are traced from their start, those of groups below it
    /// too: the lower half, and the upper one; zeros for none.
    pub cgroup: [u32; 2],
    /// Not 0: trace every program from its start.
    pub all: u32,
    /// Not 0: the traced process opens and closes its window itself, and its mappings of files are
    /// recorded meanwhile.
    pub windows: u32,
    /// Not 0: programs at the tracepoints of system calls can be preempted, and have twins.
    pub twins: u32,
    /// The inode of the user's PID namespace, if it is not the first one, whose numbers the kernel gives;
    /// else 0.
    pub namespace: u32,
    /// The number of bits in an id for the CPU that gave it out.
    pub cpu_bits: u32,
}

/// A [`Layout`] field this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

impl Layout {
    /// A layout in which every field is [`ABSENT`].
    pub const UNKNOWN: Self = Self {
        task_files: ABSENT,
        files_fdt: ABSENT,
        fdtable_fd: ABSENT,
        file_private_data: ABSENT,
        socket_sk: ABSENT,
        skb_sk: ABSENT,
        skb_len: ABSENT,
        skb_data_len: ABSENT,
        skb_head: ABSENT,
        skb_data: ABSENT,
        skb_transport_header: ABSENT,
        skb_network_header: ABSENT,
        netdev_ifindex: ABSENT,
        netdev_parent: ABSENT,
        bio_opf: ABSENT,
        bio_size: ABSENT,
        bio_flags: ABSENT,
        bio_vectors: ABSENT,
        vector_page: ABSENT,
        page_mapping: ABSENT,
        page_head: ABSENT,
        bio_cloned_bit: ABSENT,
        bio_meta_bit: ABSENT,
        bio_argument: ABSENT,
        iter_type: ABSENT,
        iter_type_with_direction: ABSENT,
        iter_ubuf: ABSENT,
        iter_iov: ABSENT,
        iter_offset: ABSENT,
        iter_bvec: ABSENT,
        iter_count: ABSENT,
        sock_local_port: ABSENT,
        sock_remote_port: ABSENT,
        sock_protocol: ABSENT,
        kind_bvec: ABSENT,
        kind_ubuf: ABSENT,
        kind_iovec: ABSENT,
        switch_state_argument: ABSENT,
        operation_code: ABSENT,
        operation_result: ABSENT,
        operation_file: ABSENT,
        sock_upper_protocol: ABSENT,
        cipher_length: ABSENT,
        cipher_source: ABSENT,
        cipher_transform: ABSENT,
        transform_algorithm: ABSENT,
        algorithm_flags: ABSENT,
        scatter_link: ABSENT,
        scatter_size: ABSENT,
        task_state: ABSENT,
        file_inode: ABSENT,
        file_dentry: ABSENT,
        inode_mode: ABSENT,
        inode_flags: ABSENT,
        inode_number: ABSENT,
        inode_generation: ABSENT,
        inode_super: ABSENT,
        super_device: ABSENT,
        super_magic: ABSENT,
        inode_device: ABSENT,
        file_flags: ABSENT,
        file_mode: ABSENT,
        dentry_name: ABSENT,
        dentry_parent: ABSENT,
        sock_family: ABSENT,
        sock_type: ABSENT,
        sock_state: ABSENT,
        sock_local: ABSENT,
        sock_remote: ABSENT,
        sock_local6: ABSENT,
        sock_remote6: ABSENT,
        task_tgid: ABSENT,
        task_signal: ABSENT,
        signal_live: ABSENT,
        datagram_socket_argument: ABSENT,
        helper_get_func_ret: ABSENT,
        helper_find_vma: ABSENT,
        helper_task_pt_regs: ABSENT,
        helper_get_current_task_btf: ABSENT,
        area_file: ABSENT,
        area_flags: ABSENT,
        area_start: ABSENT,
        area_end: ABSENT,
        area_offset: ABSENT,
        task_memory: ABSENT,
        memory_code: ABSENT,
        task_pid: ABSENT,
        dentry_inode: ABSENT,
        task_thread_pid: ABSENT,
        signal_pids: ABSENT,
        pid_level: ABSENT,
        pid_numbers: ABSENT,
        number_size: ABSENT,
        number_value: ABSENT,
        number_namespace: ABSENT,
        namespace_inode: ABSENT,
        task_name: ABSENT,
        tracepoint_faultable: ABSENT,
        cgroup_node: ABSENT,
        node_id: ABSENT,
        cgroup_parent: ABSENT,
        state_cgroup: ABSENT,
        cgroup_root: ABSENT,
        root_hierarchy: ABSENT,
    };
}

#[cfg(feature = "user")]
mod pod {
    use super::{
        Ends, Key, Layout, Options, Site, Socket, Tally, Task,
        flow::{Flow, Identity, Object, TracedProcess},
        signal::{Sent, Signal},
    };

    // SAFETY: all are repr(C), Copy, and have no padding that is not a field.
    unsafe impl aya::Pod for Key {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Tally {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Task {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Socket {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Ends {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Site {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Layout {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Options {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Flow {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Identity {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Object {}
    // SAFETY: as above.
    unsafe impl aya::Pod for TracedProcess {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Signal {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Sent {}
}
