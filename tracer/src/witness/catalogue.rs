//! The catalogue of witnesses: what in the kernel sees bytes move. It is data; adding a kernel
//! version is adding a row or a candidate.

use tracer_common::{Function, NO_ITERATOR};
use tracer_ledger::{Mover, Place};

use super::Plan;
use super::layout::Subject;

/// A routine that copies bytes by the CPU. None of them can be probed at its entry on stock
/// kernels (`lib/` is built without ftrace sites), so they are seen where they are called.
#[derive(Debug)]
pub struct Routine {
    /// The symbol of the routine.
    pub name: &'static str,
    /// Index of the argument that holds the byte count.
    pub count: u8,
    /// Index of the argument that points to the iterator, or [`NO_ITERATOR`].
    pub iterator: u8,
    /// Whether the iterator is the source (`from_iter`) or the destination (`to_iter`).
    pub from_iterator: bool,
    /// The routine inside it, or itself, that `--verify` puts a breakpoint on: the first of these that
    /// this kernel has one on.
    pub leaves: &'static [&'static str],
}

const fn to_iter(name: &'static str, count: u8, iterator: u8) -> Routine {
    Routine { name, count, iterator, from_iterator: false, leaves: &["_copy_to_iter"] }
}

const fn from_iter(
    name: &'static str,
    count: u8,
    iterator: u8,
    leaves: &'static [&'static str],
) -> Routine {
    Routine { name, count, iterator, from_iterator: true, leaves }
}

/// `lib/iov_iter.c`, and `net/core/skbuff.c` for the checksumming ones from 6.9 on. What one of them calls
/// is counted where that one is called.
pub const ROUTINES: &[Routine] = &[
    // (addr, bytes, iter)
    to_iter("_copy_to_iter", 1, 2),
    Routine { leaves: &[], ..to_iter("_copy_mc_to_iter", 1, 2) },
    // (page, offset, bytes, iter)
    Routine {
        leaves: &["copy_page_to_iter", "_copy_to_iter"],
        ..to_iter("copy_page_to_iter", 2, 3)
    },
    to_iter("copy_page_to_iter_nofault", 2, 3),
    // (addr, bytes, state, iter)
    Routine { leaves: &[], ..to_iter("csum_and_copy_to_iter", 1, 3) },
    Routine { leaves: &[], ..to_iter("hash_and_copy_to_iter", 1, 3) },
    // (addr, bytes, iter)
    from_iter("_copy_from_iter", 1, 2, &["_copy_from_iter"]),
    from_iter("_copy_from_iter_nocache", 1, 2, &[]),
    from_iter("_copy_from_iter_flushcache", 1, 2, &[]),
    from_iter("_copy_from_iter_full", 1, 2, &["_copy_from_iter_full"]),
    from_iter("_copy_from_iter_full_nocache", 1, 2, &[]),
    // (addr, bytes, csum, iter)
    from_iter("csum_and_copy_from_iter", 1, 3, &[]),
    from_iter("csum_and_copy_from_iter_full", 1, 3, &[]),
    // (page, offset, bytes, iter)
    from_iter("copy_page_from_iter", 2, 3, &["_copy_from_iter"]),
    from_iter("copy_page_from_iter_atomic", 2, 3, &["copy_page_from_iter_atomic"]),
    // (folio, offset, bytes, iter), from 6.14 on
    from_iter("copy_folio_from_iter_atomic", 2, 3, &["copy_folio_from_iter_atomic"]),
    // (page, iter, offset, bytes), up to 5.13
    from_iter("iov_iter_copy_from_user_atomic", 3, 1, &[]),
    // (sk, skb, iter, to, bytes, offset): an inline function that some kernels do not inline, and that
    // takes no probes inside.
    from_iter("skb_do_copy_data_nocache", 4, 2, &["_copy_from_iter_full"]),
];

/// A function whose text is searched for calls to the routines.
#[derive(Debug)]
pub struct Caller {
    /// Name in the source; clones the compiler made of it are searched too.
    pub name: &'static str,
    /// The kernel's end of its copies.
    pub place: Place,
}

const fn caller(name: &'static str, place: Place) -> Caller {
    Caller { name, place }
}

/// The traceable functions that copy to or from user memory on the way of a file or a socket.
pub const CALLERS: &[Caller] = &[
    caller("filemap_read", Place::PageCache),
    caller("generic_file_buffered_read", Place::PageCache),
    caller("shmem_file_read_iter", Place::PageCache),
    caller("generic_perform_write", Place::PageCache),
    caller("iomap_file_buffered_write", Place::PageCache),
    caller("iomap_write_iter", Place::PageCache),
    caller("tcp_sendmsg_locked", Place::Socket),
    caller("simple_copy_to_iter", Place::Socket),
    caller("__skb_datagram_iter", Place::Socket),
    caller("tcp_recvmsg_locked", Place::Socket),
    caller("udp_recvmsg", Place::Socket),
    caller("udpv6_recvmsg", Place::Socket),
    caller("skb_copy_datagram_from_iter", Place::Socket),
    caller("ip_generic_getfrag", Place::Socket),
    caller("sk_msg_memcopy_from_iter", Place::Kernel),
    caller("pipe_write", Place::Pipe),
    caller("anon_pipe_write", Place::Pipe),
    caller("pipe_read", Place::Pipe),
    caller("anon_pipe_read", Place::Pipe),
    // The other process's pages. The compiler makes one of the three.
    caller("process_vm_rw_core", Place::User),
    caller("process_vm_rw_single_vec", Place::User),
    caller("process_vm_rw_pages", Place::User),
];

/// A function with programs of its own, entered by fentry or kprobe as the tier has it.
#[derive(Debug)]
pub struct FunctionWitness {
    /// The function that its events are counted under.
    pub function: Function,
    /// Symbols that do this, newest first; the first one this kernel has is taken.
    pub candidates: &'static [Candidate],
    /// The programs that count.
    pub programs: Programs,
    /// The movement it proves.
    pub movement: (Place, Place, Mover),
    /// The routine where `--verify` puts a breakpoint that sees the same bytes.
    pub leaf: Option<&'static str>,
    /// The subjects that its programs need.
    pub needs: &'static [Subject],
}

/// The subjects that the calls to [`ROUTINES`] need.
pub const SITES_NEED: &[Subject] = &[Subject::Iterators];

/// A symbol of a function, and the programs at its entry where another one is at its return.
#[derive(Debug)]
pub struct Candidate {
    /// The symbol of the function.
    pub symbol: &'static str,
    /// The programs at its entry, if they are needed.
    pub entry: Option<Programs>,
}

/// Names of eBPF programs: for the kprobe tier and for the fentry tier.
pub type Programs = [&'static str; 2];

const fn function(symbol: &'static str) -> Candidate {
    Candidate { symbol, entry: None }
}

/// The function that a program is loaded for which iterates over tasks.
pub const TASK_ITERATOR: &str = "bpf_iter_task";

/// Functions of the kernel's that programs call where there are both: a program that is not put off its CPU
/// misses nothing.
pub const PREEMPTION: [&str; 2] = ["bpf_preempt_disable", "bpf_preempt_enable"];

/// Functions outside `lib/`, which take a probe at their entry or return.
pub const FUNCTIONS: &[FunctionWitness] = &[
    FunctionWitness {
        function: Function::SpliceToSocket,
        candidates: &[
            // From 6.5 on; before that the TCP stack's own.
            Candidate {
                symbol: "skb_splice_from_iter",
                entry: Some(["kprobe_pass_on_iterator", "fentry_pass_on_iterator"]),
            },
            Candidate {
                symbol: "do_tcp_sendpages",
                entry: Some(["kprobe_pass_on_page", "fentry_pass_on_page"]),
            },
        ],
        programs: ["kprobe_splice_to_socket", "fentry_splice_to_socket"],
        movement: (Place::PageCache, Place::Socket, Mover::Reference),
        leaf: None,
        needs: &[Subject::Iterators, Subject::Pages],
    },
    FunctionWitness {
        function: Function::ZeroCopy,
        candidates: &[function("skb_zerocopy_iter_stream")],
        programs: ["kprobe_zero_copy", "fentry_zero_copy"],
        movement: (Place::User, Place::Socket, Mover::Reference),
        leaf: None,
        needs: &[],
    },
    FunctionWitness {
        function: Function::SpliceFromFile,
        // Up to 6.4 the call site in filemap_read sees it.
        candidates: &[function("filemap_splice_read")],
        programs: ["kprobe_splice_from_file", "fentry_splice_from_file"],
        movement: (Place::PageCache, Place::Pipe, Mover::Reference),
        leaf: None,
        needs: &[],
    },
    FunctionWitness {
        function: Function::SpliceFromSocket,
        candidates: &[function("tcp_splice_read")],
        programs: ["kprobe_splice_from_socket", "fentry_splice_from_socket"],
        movement: (Place::Socket, Place::Pipe, Mover::Reference),
        leaf: None,
        needs: &[],
    },
    FunctionWitness {
        function: Function::ZeroCopyDatagram,
        candidates: &[function("__zerocopy_sg_from_iter")],
        programs: ["kprobe_zero_copy_datagram", "fentry_zero_copy_datagram"],
        movement: (Place::User, Place::Socket, Mover::Reference),
        leaf: None,
        needs: &[Subject::Sockets, Subject::Datagrams],
    },
    FunctionWitness {
        function: Function::CopyBits,
        candidates: &[function("skb_copy_bits")],
        programs: ["kprobe_copy_bits", "fentry_copy_bits"],
        movement: (Place::Socket, Place::Kernel, Mover::Cpu),
        leaf: Some("skb_copy_bits"),
        needs: &[Subject::Packets, Subject::Sockets],
    },
    FunctionWitness {
        function: Function::CopyAndChecksumBits,
        candidates: &[function("skb_copy_and_csum_bits")],
        programs: ["kprobe_copy_and_checksum_bits", "fentry_copy_and_checksum_bits"],
        movement: (Place::Socket, Place::Kernel, Mover::Cpu),
        leaf: None,
        needs: &[Subject::Packets, Subject::Sockets],
    },
    FunctionWitness {
        function: Function::CopyUserFragments,
        candidates: &[function("skb_copy_ubufs")],
        programs: ["kprobe_copy_user_fragments", "fentry_copy_user_fragments"],
        movement: (Place::Socket, Place::Kernel, Mover::Cpu),
        leaf: None,
        needs: &[Subject::Packets, Subject::Sockets],
    },
    FunctionWitness {
        function: Function::Encrypt,
        // The functions of TLS itself are in a module, whose types are not the kernel's.
        candidates: &[function("crypto_aead_encrypt")],
        programs: ["kprobe_encrypt", "fentry_encrypt"],
        movement: (Place::PageCache, Place::Kernel, Mover::Cipher),
        leaf: None,
        needs: &[Subject::Ciphers, Subject::Pages],
    },
];

/// A raw tracepoint.
#[derive(Debug)]
pub struct TracepointWitness {
    /// Name of the tracepoint; its program has the same.
    pub name: &'static str,
    /// Its events, in a few words.
    pub sees: &'static str,
    /// Needed in every tier, or only to stand in for a better witness.
    pub need: Need,
    /// The subjects that its program needs.
    pub needs: &'static [Subject],
    /// A second program that does the same. The kernel runs no program within itself, but the other
    /// one of two: what an interrupt of the one brings is seen by the other.
    pub twin: Option<Twin>,
}

impl TracepointWitness {
    /// The names of its programs.
    pub fn programs(&self, plan: &Plan) -> impl Iterator<Item = &'static str> {
        let twin = self.twin.filter(|twin| !twin.takes_over || plan.preemption.is_some());
        std::iter::once(self.name).chain(twin.map(|twin| twin.program))
    }
}

/// A second program at a tracepoint.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// Its name.
    pub program: &'static str,
    /// It does the work of the first one where that was put off its CPU, and only on kernels where it can be;
    /// else it does the same work once more.
    pub takes_over: bool,
}

/// Whether a witness can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it nothing can be measured.
    Always,
    /// Wherever it can be had.
    Usually,
    /// Only where call sites are not seen.
    WithoutCallSites,
    /// Only where functions are probed: it tells copies in a driver from those before it.
    WithFunctions,
    /// Only where programs are traced as a whole.
    ForFlows,
    /// Only where those of a control group are traced; there it is more exact than looking now and then.
    ForCgroups,
    /// Only where signals are passed on to a command.
    ForSignals,
}

/// Tracepoints, the same in every tier.
pub const TRACEPOINTS: &[TracepointWitness] = &[
    TracepointWitness {
        twin: Some(Twin { program: "sys_enter_twin", takes_over: true }),
        ..tracepoint("sys_enter", "system calls, and the window's marker", Need::Always, &[])
    },
    TracepointWitness {
        twin: Some(Twin { program: "sys_exit_twin", takes_over: true }),
        ..tracepoint("sys_exit", "what system calls return", Need::Always, &[])
    },
    tracepoint("page_fault_user", "page faults in user mode", Need::Usually, &[]),
    tracepoint("page_fault_kernel", "page faults in kernel mode", Need::Usually, &[]),
    tracepoint("sched_switch", "context switches", Need::Usually, &[Subject::Tasks]),
    tracepoint(
        "block_bio_queue",
        "disk → page cache, by DMA",
        Need::Usually,
        &[Subject::BlockRequests, Subject::Pages],
    ),
    tracepoint(
        "net_dev_start_xmit",
        "socket → NIC, by DMA",
        Need::Usually,
        &[Subject::Packets, Subject::Devices, Subject::Sockets],
    ),
    tracepoint("net_dev_xmit", "the end of that", Need::WithFunctions, &[]),
    tracepoint(
        "io_uring_complete",
        "results of io_uring's operations",
        Need::WithoutCallSites,
        &[Subject::IoUring, Subject::Sockets],
    ),
    tracepoint(
        "skb_copy_datagram_iovec",
        "socket → user, by CPU, of the receiver",
        Need::WithoutCallSites,
        &[],
    ),
    tracepoint(
        "sched_process_fork",
        "children of traced processes",
        Need::ForFlows,
        &[Subject::Tasks],
    ),
    tracepoint("sched_process_exec", "what they become", Need::ForFlows, &[]),
    tracepoint("sched_process_exit", "their end", Need::ForFlows, &[Subject::Tasks]),
    tracepoint(
        "signal_generate",
        "signals to traced processes",
        Need::ForSignals,
        &[Subject::Tasks],
    ),
    tracepoint(
        "cgroup_attach_task",
        "moves between control groups",
        Need::ForCgroups,
        &[Subject::Tasks, Subject::ControlGroups],
    ),
    TracepointWitness {
        twin: Some(Twin { program: "inet_sock_set_state_twin", takes_over: false }),
        ..tracepoint("inet_sock_set_state", "the end of connections", Need::ForFlows, &[])
    },
];

const fn tracepoint(
    name: &'static str,
    sees: &'static str,
    need: Need,
    needs: &'static [Subject],
) -> TracepointWitness {
    TracepointWitness { name, sees, need, needs, twin: None }
}

/// A routine for a hardware breakpoint, and where it finds its arguments.
#[derive(Debug)]
pub struct LeafRoutine {
    /// The symbol of the routine.
    pub symbol: &'static str,
    /// As of a [`Routine`].
    pub count: u8,
    /// Index of the argument that points to the iterator.
    pub iterator: u8,
    /// Whether the iterator is the source of the copy.
    pub from_iterator: bool,
}

const fn leaf(symbol: &'static str, count: u8, iterator: u8, from_iterator: bool) -> LeafRoutine {
    LeafRoutine { symbol, count, iterator, from_iterator }
}

/// The hardware breakpoints of `--verify`: an x86 CPU has four. In each row, the first routine that this
/// kernel has is taken. Up to 5.13 copies out of pages do not go through `_copy_to_iter`, nor those into
/// a TCP socket through `_copy_from_iter`.
pub const LEAVES: [&[LeafRoutine]; 4] = [
    &[leaf("_copy_to_iter", 1, 2, false)],
    &[leaf("_copy_from_iter_full", 1, 2, true), leaf("_copy_from_iter", 1, 2, true)],
    &[
        leaf("copy_folio_from_iter_atomic", 2, 3, true),
        leaf("copy_page_from_iter_atomic", 2, 3, true),
        leaf("copy_page_to_iter", 2, 3, false),
    ],
    &[leaf("skb_copy_bits", 3, NO_ITERATOR, false)],
];
