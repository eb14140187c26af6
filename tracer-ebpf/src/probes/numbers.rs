//! An iterator over tasks, which gives userspace the kernel's numbers of the processes that users know.

use core::ffi::c_void;

use aya_ebpf::{bindings::seq_file, helpers::bpf_seq_write};
use tracer_common::Numbered;

use crate::kernel::{layout, load, number::of_process};

/// The context of an iterator over tasks: `struct bpf_iter__task`.
#[repr(C)]
struct Context {
    /// `struct bpf_iter_meta`, which begins with a pointer to the `seq_file`.
    meta: *const u8,
    /// Null at the end of the iteration.
    task: *const u8,
}

/// Writes a [`Numbered`] for each process in the reader's PID namespace.
///
/// # Safety
/// The kernel calls it.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn processes(context: *const c_void) -> i32 {
    // SAFETY: the section makes this the context's type, and the verifier knows its fields.
    let Context { meta, task } = unsafe { context.cast::<Context>().read_volatile() };
    if task.is_null() {
        return 0;
    }
    // SAFETY: the verifier knows the types of both.
    let (file, kernel, thread): (*mut seq_file, u32, u32) =
        unsafe { (load(meta, 0), load(task, layout!(task_tgid)), load(task, layout!(task_pid))) };
    if kernel == thread
        && let Some(here) = of_process(task as u64)
    {
        let numbered = Numbered { here, kernel };
        let length = size_of::<Numbered>() as u32;
        // SAFETY: the length is that of the value.
        unsafe { bpf_seq_write(file, (&raw const numbered).cast(), length) };
    }
    0
}
