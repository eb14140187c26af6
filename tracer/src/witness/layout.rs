//! The offsets and enumerators that the eBPF programs need, and their places in BTF.

use tracer_common::{ABSENT, Layout};
use tracer_ledger::Warning;

use crate::kernel::Facts;

/// The question for a [`Layout`] field.
#[derive(Debug)]
pub enum Question {
    /// Byte offset of the first of these fields that exists.
    Field(&'static [&'static str]),
    /// Size of a struct in bytes.
    Size(&'static str),
    /// Value of an enumerator.
    Enumerator(&'static str),
    /// Index of the last argument of a tracepoint, if it has at least so many.
    LastArgument(&'static str, u32),
    /// Index of a function's parameter: the function, and the parameter's name.
    Parameter(&'static str, &'static str),
}

impl Question {
    fn answer(&self, facts: &Facts) -> Option<u32> {
        match self {
            Self::Field(paths) => paths.iter().find_map(|path| facts.fields.get(*path)).copied(),
            Self::Size(name) => facts.sizes.get(*name).copied(),
            Self::Enumerator(name) => facts.enumerators.get(*name).copied(),
            Self::LastArgument(tracepoint, least) => {
                let count = facts.tracepoints.get(*tracepoint).copied()?;
                (count >= *least).then(|| count - 1)
            }
            Self::Parameter(..) => facts.parameters.get(&self.name()).copied(),
        }
    }

    /// As kernels are asked.
    pub fn name(&self) -> String {
        match self {
            Self::Field(paths) => paths.join(" or "),
            Self::Size(name) | Self::Enumerator(name) => (*name).to_owned(),
            Self::LastArgument(tracepoint, _) => format!("tracepoint {tracepoint}"),
            Self::Parameter(function, parameter) => format!("{function}({parameter})"),
        }
    }
}

type Slot = fn(&mut Layout) -> &mut u32;

/// A question, and where the answer goes.
pub struct Row {
    /// The question.
    pub question: Question,
    slot: Slot,
    /// Some kernels do without it, and the programs with them.
    optional: bool,
}

const fn row(question: Question, slot: Slot) -> Row {
    Row { question, slot, optional: false }
}

const fn field(paths: &'static [&'static str], slot: Slot) -> Row {
    row(Question::Field(paths), slot)
}

const fn size(name: &'static str, slot: Slot) -> Row {
    row(Question::Size(name), slot)
}

const fn enumerator(name: &'static str, slot: Slot) -> Row {
    row(Question::Enumerator(name), slot)
}

const fn optional(row: Row) -> Row {
    Row { optional: true, ..row }
}

/// A part of the kernel that the programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Processes and threads.
    Tasks,
    /// Objects behind file descriptors.
    Descriptors,
    /// Identities of files.
    Files,
    /// Identities of sockets.
    Sockets,
    /// Packets of sockets.
    Packets,
    /// Datagrams that are sent by reference.
    Datagrams,
    /// Return values of functions, at their exit.
    Returns,
    /// Network devices.
    Devices,
    /// Requests to block devices.
    BlockRequests,
    /// Pages of memory.
    Pages,
    /// Iterators passed to copy routines.
    Iterators,
    /// Memory that a file is mapped to.
    Mappings,
    /// Operations of `io_uring`.
    IoUring,
    /// Requests to encrypt.
    Ciphers,
    /// Numbers in PID namespaces.
    PidNamespaces,
    /// Control groups.
    ControlGroups,
}

/// All that is asked of one subject.
pub struct Chapter {
    /// The subject.
    pub subject: Subject,
    /// The effect of a missing answer.
    pub without: &'static str,
    /// The questions.
    pub rows: &'static [Row],
}

/// Every field of [`Layout`].
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        subject: Subject::Tasks,
        without: "processes and threads are not told apart",
        rows: &[
            field(&["task_struct.tgid"], |l| &mut l.task_tgid),
            field(&["task_struct.pid"], |l| &mut l.task_pid),
            field(&["task_struct.signal"], |l| &mut l.task_signal),
            field(&["signal_struct.live"], |l| &mut l.signal_live),
            field(&["task_struct.__state", "task_struct.state"], |l| &mut l.task_state),
            // The fourth argument came with 5.18.
            optional(row(Question::LastArgument("sched_switch", 4), |l| {
                &mut l.switch_state_argument
            })),
            optional(field(&["task_struct.mm"], |l| &mut l.task_memory)),
            // Where there is one, programs at the tracepoints of system calls can be put off their CPU.
            optional(field(&["tracepoint_ext.faultable"], |l| &mut l.tracepoint_faultable)),
            optional(field(&["mm_struct.start_code"], |l| &mut l.memory_code)),
        ],
    },
    Chapter {
        subject: Subject::Descriptors,
        without: "what is behind a file descriptor is not known",
        rows: &[
            field(&["task_struct.files"], |l| &mut l.task_files),
            field(&["files_struct.fdt"], |l| &mut l.files_fdt),
            field(&["fdtable.fd"], |l| &mut l.fdtable_fd),
            field(&["file.f_inode"], |l| &mut l.file_inode),
            field(&["inode.i_mode"], |l| &mut l.inode_mode),
            optional(field(&["file.f_flags"], |l| &mut l.file_flags)),
            optional(field(&["file.f_mode"], |l| &mut l.file_mode)),
            // From 5.11 on; reading takes longer without it.
            optional(enumerator("BPF_FUNC_get_current_task_btf", |l| {
                &mut l.helper_get_current_task_btf
            })),
        ],
    },
    Chapter {
        subject: Subject::Files,
        without: "files are not told apart, and have no names",
        rows: &[
            field(&["file.f_path.dentry", "file.__f_path.dentry"], |l| &mut l.file_dentry),
            field(&["inode.i_flags"], |l| &mut l.inode_flags),
            field(&["inode.i_ino"], |l| &mut l.inode_number),
            field(&["inode.i_generation"], |l| &mut l.inode_generation),
            field(&["inode.i_sb"], |l| &mut l.inode_super),
            field(&["super_block.s_dev"], |l| &mut l.super_device),
            optional(field(&["super_block.s_magic"], |l| &mut l.super_magic)),
            optional(field(&["inode.i_rdev"], |l| &mut l.inode_device)),
            field(&["dentry.d_name.name", "dentry.__d_name.name"], |l| &mut l.dentry_name),
            field(&["dentry.d_parent"], |l| &mut l.dentry_parent),
            field(&["dentry.d_inode"], |l| &mut l.dentry_inode),
        ],
    },
    Chapter {
        subject: Subject::Sockets,
        without: "sockets are not told apart, and what is copied of their packets belongs to nobody",
        rows: &[
            field(&["file.private_data"], |l| &mut l.file_private_data),
            field(&["socket.sk"], |l| &mut l.socket_sk),
            field(&["sock.__sk_common.skc_num"], |l| &mut l.sock_local_port),
            field(&["sock.__sk_common.skc_dport"], |l| &mut l.sock_remote_port),
            field(&["sock.sk_protocol"], |l| &mut l.sock_protocol),
            field(&["sock.__sk_common.skc_family"], |l| &mut l.sock_family),
            field(&["sock.sk_type"], |l| &mut l.sock_type),
            field(&["sock.__sk_common.skc_state"], |l| &mut l.sock_state),
            field(&["sock.__sk_common.skc_rcv_saddr"], |l| &mut l.sock_local),
            field(&["sock.__sk_common.skc_daddr"], |l| &mut l.sock_remote),
            optional(field(&["sock.__sk_common.skc_v6_rcv_saddr"], |l| &mut l.sock_local6)),
            optional(field(&["sock.__sk_common.skc_v6_daddr"], |l| &mut l.sock_remote6)),
            optional(field(&["inet_connection_sock.icsk_ulp_ops"], |l| &mut l.sock_upper_protocol)),
        ],
    },
    Chapter {
        subject: Subject::Packets,
        without: "nothing is known of what packets carry",
        rows: &[
            field(&["sk_buff.sk"], |l| &mut l.skb_sk),
            field(&["sk_buff.len"], |l| &mut l.skb_len),
            field(&["sk_buff.data_len"], |l| &mut l.skb_data_len),
            field(&["sk_buff.head"], |l| &mut l.skb_head),
            field(&["sk_buff.data"], |l| &mut l.skb_data),
            field(&["sk_buff.transport_header"], |l| &mut l.skb_transport_header),
            field(&["sk_buff.network_header"], |l| &mut l.skb_network_header),
        ],
    },
    Chapter {
        subject: Subject::Datagrams,
        without: "datagrams that go by reference are not seen",
        // One parameter came before it with 6.0. The length is always the third one after it.
        rows: &[row(Question::Parameter("__zerocopy_sg_from_iter", "sk"), |l| {
            &mut l.datagram_socket_argument
        })],
    },
    Chapter {
        subject: Subject::Returns,
        without: "nothing",
        // From 5.17 on. Before, the functions that are looked at all have five arguments.
        rows: &[optional(enumerator("BPF_FUNC_get_func_ret", |l| &mut l.helper_get_func_ret))],
    },
    Chapter {
        subject: Subject::Devices,
        without: "real network devices are not told from virtual ones",
        rows: &[
            field(&["net_device.ifindex"], |l| &mut l.netdev_ifindex),
            field(&["net_device.dev.parent"], |l| &mut l.netdev_parent),
        ],
    },
    Chapter {
        subject: Subject::BlockRequests,
        without: "what is read from disks is not seen",
        rows: &[
            field(&["bio.bi_opf"], |l| &mut l.bio_opf),
            field(&["bio.bi_iter.bi_size"], |l| &mut l.bio_size),
            field(&["bio.bi_flags"], |l| &mut l.bio_flags),
            field(&["bio.bi_io_vec"], |l| &mut l.bio_vectors),
            enumerator("BIO_CLONED", |l| &mut l.bio_cloned_bit),
            enumerator("__REQ_META", |l| &mut l.bio_meta_bit),
            row(Question::LastArgument("block_bio_queue", 1), |l| &mut l.bio_argument),
        ],
    },
    Chapter {
        subject: Subject::Pages,
        without: "pages of the page cache are not told from memory of programs and of the kernel",
        rows: &[
            field(&["bio_vec.bv_page"], |l| &mut l.vector_page),
            field(&["page.mapping"], |l| &mut l.page_mapping),
            // The latter from 7.1 on.
            field(&["page.compound_head", "page.compound_info"], |l| &mut l.page_head),
        ],
    },
    Chapter {
        subject: Subject::Iterators,
        without: "copy routines are not seen, for what they copy is not known",
        rows: &[
            // The latter up to 5.13: its lowest bit is the direction, as the enumerators leave it free.
            field(&["iov_iter.iter_type", "iov_iter.type"], |l| &mut l.iter_type),
            optional(field(&["iov_iter.type"], |l| &mut l.iter_type_with_direction)),
            optional(field(&["iov_iter.ubuf"], |l| &mut l.iter_ubuf)),
            field(&["iov_iter.__iov", "iov_iter.iov"], |l| &mut l.iter_iov),
            field(&["iov_iter.iov_offset"], |l| &mut l.iter_offset),
            field(&["iov_iter.bvec"], |l| &mut l.iter_bvec),
            field(&["iov_iter.count"], |l| &mut l.iter_count),
            enumerator("ITER_BVEC", |l| &mut l.kind_bvec),
            optional(enumerator("ITER_UBUF", |l| &mut l.kind_ubuf)),
            enumerator("ITER_IOVEC", |l| &mut l.kind_iovec),
        ],
    },
    Chapter {
        subject: Subject::Mappings,
        without: "memory that a program mapped from a file is not told from its own",
        rows: &[
            field(&["vm_area_struct.vm_file"], |l| &mut l.area_file),
            field(&["vm_area_struct.vm_flags"], |l| &mut l.area_flags),
            field(&["vm_area_struct.vm_start"], |l| &mut l.area_start),
            field(&["vm_area_struct.vm_end"], |l| &mut l.area_end),
            field(&["vm_area_struct.vm_pgoff"], |l| &mut l.area_offset),
            // From 5.17 on.
            enumerator("BPF_FUNC_find_vma", |l| &mut l.helper_find_vma),
            // From 5.15 on. Without it no stack has names of the dynamic linker.
            optional(enumerator("BPF_FUNC_task_pt_regs", |l| &mut l.helper_task_pt_regs)),
        ],
    },
    Chapter {
        subject: Subject::IoUring,
        without: "what io_uring moves is not seen in the tier tracepoint",
        rows: &[
            field(&["io_kiocb.opcode"], |l| &mut l.operation_code),
            field(&["io_kiocb.cqe.res", "io_kiocb.result"], |l| &mut l.operation_result),
            field(&["io_kiocb.file"], |l| &mut l.operation_file),
        ],
    },
    Chapter {
        subject: Subject::Ciphers,
        without: "what the kernel encrypts is not seen",
        rows: &[
            field(&["aead_request.cryptlen"], |l| &mut l.cipher_length),
            field(&["aead_request.src"], |l| &mut l.cipher_source),
            field(&["aead_request.base.tfm"], |l| &mut l.cipher_transform),
            field(&["crypto_tfm.__crt_alg"], |l| &mut l.transform_algorithm),
            field(&["crypto_alg.cra_flags"], |l| &mut l.algorithm_flags),
            field(&["scatterlist.page_link"], |l| &mut l.scatter_link),
            size("scatterlist", |l| &mut l.scatter_size),
        ],
    },
    Chapter {
        subject: Subject::PidNamespaces,
        without: "nothing can be traced from inside a PID namespace",
        rows: &[
            field(&["task_struct.thread_pid"], |l| &mut l.task_thread_pid),
            field(&["signal_struct.pids"], |l| &mut l.signal_pids),
            field(&["pid.level"], |l| &mut l.pid_level),
            field(&["pid.numbers"], |l| &mut l.pid_numbers),
            size("upid", |l| &mut l.number_size),
            field(&["upid.nr"], |l| &mut l.number_value),
            field(&["upid.ns"], |l| &mut l.number_namespace),
            field(&["pid_namespace.ns.inum"], |l| &mut l.namespace_inode),
        ],
    },
    Chapter {
        subject: Subject::ControlGroups,
        without: "who is moved into a control group is found by looking now and then",
        rows: &[
            field(&["task_struct.comm"], |l| &mut l.task_name),
            field(&["cgroup.kn"], |l| &mut l.cgroup_node),
            field(&["kernfs_node.id"], |l| &mut l.node_id),
            field(&["cgroup.self.parent"], |l| &mut l.cgroup_parent),
            field(&["cgroup_subsys_state.cgroup"], |l| &mut l.state_cgroup),
            field(&["cgroup.root"], |l| &mut l.cgroup_root),
            field(&["cgroup_root.hierarchy_id"], |l| &mut l.root_hierarchy),
        ],
    },
];

/// All questions.
pub fn questions() -> impl Iterator<Item = &'static Question> {
    CHAPTERS.iter().flat_map(|chapter| chapter.rows).map(|row| &row.question)
}

/// A subject of which this kernel's BTF does not tell enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The subject.
    pub subject: Subject,
    /// Unanswered questions: paths and names.
    pub questions: Vec<String>,
    /// The effect.
    pub without: &'static str,
}

impl Unknown {
    /// Why what needs the subject is not there.
    pub fn reason(&self) -> String {
        format!("this kernel's types do not tell {}", self.questions.join(", "))
    }

    /// And what follows.
    pub fn warning(&self) -> Warning {
        Warning::KernelLacks { reason: self.reason(), without: self.without.to_owned() }
    }
}

/// Fills a [`Layout`] from what is known of a kernel, and says what is not. Of a subject of which something
/// is missing nothing is told: the programs need look at one field of it only.
pub fn resolve(facts: &Facts) -> (Layout, Vec<Unknown>) {
    let mut layout = Layout::UNKNOWN;
    let mut unknown = Vec::new();
    for Chapter { subject, without, rows } in CHAPTERS {
        let is_missing = |row: &&Row| !row.optional && row.question.answer(facts).is_none();
        let questions: Vec<_> =
            rows.iter().filter(is_missing).map(|row| row.question.name()).collect();
        let is_known = questions.is_empty();
        for row in *rows {
            let answer = row.question.answer(facts).filter(|_| is_known);
            *(row.slot)(&mut layout) = answer.unwrap_or(ABSENT);
        }
        if !is_known {
            unknown.push(Unknown { subject: *subject, questions, without });
        }
    }
    (layout, unknown)
}
