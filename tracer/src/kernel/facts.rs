//! The facts of a kernel: answers, by name.

use std::{collections::BTreeMap, io};

use super::{btf, function_text::FunctionText};

/// Answers to every question of the catalogue, of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// `uname -r`
    pub release: String,
    /// Byte offsets by path, such as `sk_buff.len`.
    pub fields: BTreeMap<String, u32>,
    /// Sizes of structs in bytes, by name.
    pub sizes: BTreeMap<String, u32>,
    /// Values by name.
    pub enumerators: BTreeMap<String, u32>,
    /// Ids in BTF by function, by which fentry names them.
    pub functions: BTreeMap<String, u32>,
    /// Number of arguments by raw tracepoint.
    pub tracepoints: BTreeMap<String, u32>,
    /// Indices of parameters by function and name, such as `__zerocopy_sg_from_iter(sk)`.
    pub parameters: BTreeMap<String, u32>,
    /// Addresses of copy routines and probed functions; empty if they are hidden.
    pub symbols: BTreeMap<String, u64>,
    /// Machine code of the callers of copy routines.
    pub texts: Vec<FunctionText>,
    /// The reason why there are no call sites: the kernel's text is unreadable, or takes no kprobes.
    pub text_error: Option<String>,
}

/// A struct that kernels have from 6.1 on. There any program may use maps that allocate entries when they
/// are inserted; before, tracing programs must not (`check_map_prog_compatibility`).
pub const ALLOCATOR: &str = "bpf_mem_alloc";

/// The reason why nothing is known of this kernel.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// There is no BTF.
    #[error(
        "cannot read {path}: {0}; copytrace needs a kernel with CONFIG_DEBUG_INFO_BTF=y, as most \
         distributions have",
        path = btf::VMLINUX
    )]
    NoBtf(io::Error),
    /// BTF is in a format that this program does not know.
    #[error("{path}: {0}", path = btf::VMLINUX)]
    Btf(#[from] btf::BtfError),
}

/// When the entries of maps are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// As they are inserted.
    OnDemand,
    /// All when the map is created.
    Beforehand,
}

impl Facts {
    /// Drops the call sites.
    pub fn without_sites(&mut self, reason: String) {
        self.texts.clear();
        self.text_error = Some(reason);
    }

    /// When maps must allocate their entries.
    pub fn allocation(&self) -> Allocation {
        match self.sizes.contains_key(ALLOCATOR) {
            true => Allocation::OnDemand,
            false => Allocation::Beforehand,
        }
    }
}
