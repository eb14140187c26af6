//! Which offsets and enumerators the eBPF programs need, and where BTF has them.

use tracer_common::{ABSENT, Layout};

use crate::kernel::Facts;

/// How a [`Layout`] field is asked of the kernel.
#[derive(Debug)]
pub enum Question {
    /// Byte offset of the first of these fields that exists.
    Field(&'static [&'static str]),
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
    field(&["sock.__sk_common.skc_num"], |l| &mut l.sock_local_port),
    field(&["sock.__sk_common.skc_dport"], |l| &mut l.sock_remote_port),
    enumerator("ITER_BVEC", |l| &mut l.kind_bvec),
    optional(enumerator("ITER_UBUF", |l| &mut l.kind_ubuf)),
    enumerator("ITER_IOVEC", |l| &mut l.kind_iovec),
    // The fourth argument came with 5.18.
    optional(Row {
        question: Question::LastArgument("sched_switch", 4),
        slot: |l| &mut l.switch_state_argument,
        optional: true,
    }),
    field(&["task_struct.__state", "task_struct.state"], |l| &mut l.task_state),
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
        Question::Enumerator(name) => (*name).to_owned(),
        Question::LastArgument(tracepoint, _) => format!("tracepoint {tracepoint}"),
    }
}
