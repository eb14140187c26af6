//! Which offsets and enumerators the eBPF programs need, and where BTF has them.

use tracer_common::{ABSENT, Layout};

use crate::kernel::Facts;

/// How a [`Layout`] field is asked of the kernel.
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
}

type Slot = fn(&mut Layout) -> &mut u32;

/// A row: the question, where the answer goes, and whether copytrace can do without it.
pub struct Row {
    /// What to ask.
    pub question: Question,
    slot: Slot,
    optional: bool,
}

const fn field(paths: &'static [&'static str], slot: Slot) -> Row {
    Row { question: Question::Field(paths), slot, optional: false }
}

const fn optional(row: Row) -> Row {
    Row { optional: true, ..row }
}

const fn size(name: &'static str, slot: Slot) -> Row {
    Row { question: Question::Size(name), slot, optional: false }
}

const fn enumerator(name: &'static str, slot: Slot) -> Row {
    Row { question: Question::Enumerator(name), slot, optional: false }
}

/// Every field of [`Layout`].
pub const ROWS: &[Row] = &[
    field(&["task_struct.files"], |l| &mut l.task_files),
    field(&["files_struct.fdt"], |l| &mut l.files_fdt),
    field(&["fdtable.fd"], |l| &mut l.fdtable_fd),
    field(&["file.private_data"], |l| &mut l.file_private_data),
    field(&["socket.sk"], |l| &mut l.socket_sk),
    field(&["sk_buff.sk"], |l| &mut l.skb_sk),
    field(&["sk_buff.len"], |l| &mut l.skb_len),
    field(&["sk_buff.data_len"], |l| &mut l.skb_data_len),
    field(&["sk_buff.head"], |l| &mut l.skb_head),
    field(&["sk_buff.data"], |l| &mut l.skb_data),
    field(&["sk_buff.transport_header"], |l| &mut l.skb_transport_header),
    field(&["sk_buff.network_header"], |l| &mut l.skb_network_header),
    field(&["net_device.ifindex"], |l| &mut l.netdev_ifindex),
    field(&["net_device.dev.parent"], |l| &mut l.netdev_parent),
    field(&["bio.bi_opf"], |l| &mut l.bio_opf),
    field(&["bio.bi_iter.bi_size"], |l| &mut l.bio_size),
    field(&["bio.bi_flags"], |l| &mut l.bio_flags),
    field(&["bio.bi_io_vec"], |l| &mut l.bio_vectors),
    field(&["bio_vec.bv_page"], |l| &mut l.vector_page),
    field(&["page.mapping"], |l| &mut l.page_mapping),
    field(&["page.compound_head"], |l| &mut l.page_head),
    enumerator("BIO_CLONED", |l| &mut l.bio_cloned_bit),
    enumerator("__REQ_META", |l| &mut l.bio_meta_bit),
    Row {
        question: Question::LastArgument("block_bio_queue", 1),
        slot: |l| &mut l.bio_argument,
        optional: false,
    },
    field(&["iov_iter.iter_type"], |l| &mut l.iter_type),
    optional(field(&["iov_iter.ubuf"], |l| &mut l.iter_ubuf)),
    field(&["iov_iter.__iov", "iov_iter.iov"], |l| &mut l.iter_iov),
    field(&["iov_iter.iov_offset"], |l| &mut l.iter_offset),
    field(&["iov_iter.bvec"], |l| &mut l.iter_bvec),
    field(&["iov_iter.count"], |l| &mut l.iter_count),
    field(&["sock.__sk_common.skc_num"], |l| &mut l.sock_local_port),
    field(&["sock.__sk_common.skc_dport"], |l| &mut l.sock_remote_port),
    field(&["sock.sk_protocol"], |l| &mut l.sock_protocol),
    enumerator("ITER_BVEC", |l| &mut l.kind_bvec),
    optional(enumerator("ITER_UBUF", |l| &mut l.kind_ubuf)),
    enumerator("ITER_IOVEC", |l| &mut l.kind_iovec),
    // The fourth argument came with 5.18.
    optional(Row {
        question: Question::LastArgument("sched_switch", 4),
        slot: |l| &mut l.switch_state_argument,
        optional: true,
    }),
    // A kernel may have no io_uring.
    optional(field(&["io_kiocb.opcode"], |l| &mut l.operation_code)),
    optional(field(&["io_kiocb.cqe.res"], |l| &mut l.operation_result)),
    optional(field(&["io_kiocb.file"], |l| &mut l.operation_file)),
    optional(field(&["inet_connection_sock.icsk_ulp_ops"], |l| &mut l.sock_upper_protocol)),
    // A kernel may have its cryptography in modules, or none.
    optional(field(&["aead_request.cryptlen"], |l| &mut l.cipher_length)),
    optional(field(&["aead_request.src"], |l| &mut l.cipher_source)),
    optional(field(&["aead_request.base.tfm"], |l| &mut l.cipher_transform)),
    optional(field(&["crypto_tfm.__crt_alg"], |l| &mut l.transform_algorithm)),
    optional(field(&["crypto_alg.cra_flags"], |l| &mut l.algorithm_flags)),
    optional(field(&["scatterlist.page_link"], |l| &mut l.scatter_link)),
    optional(size("scatterlist", |l| &mut l.scatter_size)),
    field(&["task_struct.__state", "task_struct.state"], |l| &mut l.task_state),
    field(&["file.f_inode"], |l| &mut l.file_inode),
    field(&["file.f_path.dentry", "file.__f_path.dentry"], |l| &mut l.file_dentry),
    field(&["inode.i_mode"], |l| &mut l.inode_mode),
    field(&["inode.i_flags"], |l| &mut l.inode_flags),
    field(&["inode.i_ino"], |l| &mut l.inode_number),
    field(&["inode.i_generation"], |l| &mut l.inode_generation),
    field(&["inode.i_sb"], |l| &mut l.inode_super),
    field(&["super_block.s_dev"], |l| &mut l.super_device),
    field(&["dentry.d_name.name", "dentry.__d_name.name"], |l| &mut l.dentry_name),
    field(&["dentry.d_parent"], |l| &mut l.dentry_parent),
    field(&["sock.__sk_common.skc_family"], |l| &mut l.sock_family),
    field(&["sock.sk_type"], |l| &mut l.sock_type),
    field(&["sock.__sk_common.skc_state"], |l| &mut l.sock_state),
    field(&["sock.__sk_common.skc_rcv_saddr"], |l| &mut l.sock_local),
    field(&["sock.__sk_common.skc_daddr"], |l| &mut l.sock_remote),
    optional(field(&["sock.__sk_common.skc_v6_rcv_saddr"], |l| &mut l.sock_local6)),
    optional(field(&["sock.__sk_common.skc_v6_daddr"], |l| &mut l.sock_remote6)),
    field(&["task_struct.tgid"], |l| &mut l.task_tgid),
    field(&["task_struct.signal"], |l| &mut l.task_signal),
    field(&["signal_struct.live"], |l| &mut l.signal_live),
    field(&["vm_area_struct.vm_file"], |l| &mut l.area_file),
    field(&["vm_area_struct.vm_flags"], |l| &mut l.area_flags),
    field(&["vm_area_struct.vm_start"], |l| &mut l.area_start),
    field(&["vm_area_struct.vm_end"], |l| &mut l.area_end),
    field(&["vm_area_struct.vm_pgoff"], |l| &mut l.area_offset),
    field(&["task_struct.mm"], |l| &mut l.task_memory),
    field(&["mm_struct.start_code"], |l| &mut l.memory_code),
    field(&["task_struct.pid"], |l| &mut l.task_pid),
    field(&["dentry.d_inode"], |l| &mut l.dentry_inode),
    // Only in a PID namespace.
    optional(field(&["task_struct.thread_pid"], |l| &mut l.task_thread_pid)),
    optional(field(&["signal_struct.pids"], |l| &mut l.signal_pids)),
    optional(field(&["pid.level"], |l| &mut l.pid_level)),
    optional(field(&["pid.numbers"], |l| &mut l.pid_numbers)),
    optional(size("upid", |l| &mut l.number_size)),
    optional(field(&["upid.nr"], |l| &mut l.number_value)),
    optional(field(&["upid.ns"], |l| &mut l.number_namespace)),
    optional(field(&["pid_namespace.ns.inum"], |l| &mut l.namespace_inode)),
    // Only for moves between control groups.
    optional(field(&["task_struct.comm"], |l| &mut l.task_name)),
    optional(field(&["cgroup.kn"], |l| &mut l.cgroup_node)),
    optional(field(&["kernfs_node.id"], |l| &mut l.node_id)),
    optional(field(&["cgroup.self.parent"], |l| &mut l.cgroup_parent)),
    optional(field(&["cgroup_subsys_state.cgroup"], |l| &mut l.state_cgroup)),
    optional(field(&["cgroup.root"], |l| &mut l.cgroup_root)),
    optional(field(&["cgroup_root.hierarchy_id"], |l| &mut l.root_hierarchy)),
];

/// What of [`ROWS`] this kernel's BTF cannot answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this kernel's BTF does not know {}", .0.join(", "))]
pub struct UnknownLayout(pub Vec<String>);

/// Fills a [`Layout`] from what is known of a kernel.
pub fn resolve(facts: &Facts) -> Result<Layout, UnknownLayout> {
    let mut layout = Layout::UNKNOWN;
    let mut unknown = Vec::new();
    for row in ROWS {
        match answer(&row.question, facts) {
            Some(value) => *(row.slot)(&mut layout) = value,
            None if row.optional => *(row.slot)(&mut layout) = ABSENT,
            None => unknown.push(name(&row.question)),
        }
    }
    if unknown.is_empty() { Ok(layout) } else { Err(UnknownLayout(unknown)) }
}

fn answer(question: &Question, facts: &Facts) -> Option<u32> {
    match question {
        Question::Field(paths) => paths.iter().find_map(|path| facts.fields.get(*path)).copied(),
        Question::Size(name) => facts.sizes.get(*name).copied(),
        Question::Enumerator(name) => facts.enumerators.get(*name).copied(),
        Question::LastArgument(tracepoint, least) => {
            let count = facts.tracepoints.get(*tracepoint).copied()?;
            (count >= *least).then(|| count - 1)
        }
    }
}

fn name(question: &Question) -> String {
    match question {
        Question::Field(paths) => paths.join(" or "),
        Question::Size(name) | Question::Enumerator(name) => (*name).to_owned(),
        Question::LastArgument(tracepoint, _) => format!("tracepoint {tracepoint}"),
    }
}
