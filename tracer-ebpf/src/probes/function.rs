//! Probes of functions. Each is written once and becomes two programs, one for each tier: a kprobe, and
//! fentry or fexit. They differ in how they read arguments and return values.

use aya_ebpf::{
    Argument, EbpfContext as _,
    programs::{
        FEntryContext, FExitContext, ProbeContext, RetProbeContext, tracing::StackIdContext,
    },
};
use tracer_common::ABSENT;

use crate::kernel::{layout, read};

/// Writes the programs of probes at the `entry` of functions, and at their `exit`.
macro_rules! probes {
    ($($(#[$function:meta])* $end:ident $kprobe:ident, $fentry:ident($ctx:ident) $body:block)+) => {
        $($crate::probes::function::probes! { @$end [$(#[$function])*] $kprobe, $fentry($ctx) $body })+
    };
    (@entry [$($function:tt)*] $kprobe:ident, $fentry:ident($ctx:ident) $body:block) => {
        $($function)*
        #[aya_ebpf::macros::kprobe]
        pub fn $kprobe($ctx: aya_ebpf::programs::ProbeContext) $body

        $($function)*
        #[aya_ebpf::macros::fentry]
        pub fn $fentry($ctx: aya_ebpf::programs::FEntryContext) $body
    };
    (@exit [$($function:tt)*] $kprobe:ident, $fentry:ident($ctx:ident) $body:block) => {
        $($function)*
        #[aya_ebpf::macros::kretprobe]
        pub fn $kprobe($ctx: aya_ebpf::programs::RetProbeContext) $body

        $($function)*
        #[aya_ebpf::macros::fexit]
        pub fn $fentry($ctx: aya_ebpf::programs::FExitContext) $body
    };
}
pub(crate) use probes;

/// The entry of a function.
pub trait AtEntry: StackIdContext {
    /// An argument of the function.
    fn argument<T: Argument + Default>(&self, index: usize) -> T;

    /// A pointer among the arguments, as a number to calculate with.
    fn address(&self, index: usize) -> Option<u64>;
}

impl AtEntry for ProbeContext {
    #[inline(always)]
    fn argument<T: Argument + Default>(&self, index: usize) -> T {
        self.arg(index).unwrap_or_default()
    }

    #[inline(always)]
    fn address(&self, index: usize) -> Option<u64> {
        self.arg(index)
    }
}

impl AtEntry for FEntryContext {
    #[inline(always)]
    fn argument<T: Argument + Default>(&self, index: usize) -> T {
        self.arg(index)
    }

    /// Read as a number: the verifier forbids arithmetic on a pointer whose type it knows.
    #[inline(always)]
    fn address(&self, index: usize) -> Option<u64> {
        read(self.as_ptr() as u64, (index * size_of::<u64>()) as u32)
    }
}

/// The exit of a function.
pub trait AtExit {
    /// The function's return value.
    fn returned(&self) -> i32;
}

impl AtExit for RetProbeContext {
    #[inline(always)]
    fn returned(&self) -> i32 {
        self.ret()
    }
}

impl AtExit for FExitContext {
    #[inline(always)]
    fn returned(&self) -> i32 {
        /// All probed functions have this many arguments where the helper is missing; the return value
        /// follows them.
        const ARGUMENTS: usize = 5;
        if layout!(helper_get_func_ret) == ABSENT {
            return self.arg(ARGUMENTS);
        }
        self.ret().unwrap_or(0)
    }
}
