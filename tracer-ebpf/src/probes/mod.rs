//! The programs: one file a kernel subsystem. `function` and `flow` are shared by several.

mod block;
mod cipher;
mod copy;
mod fault;
mod flow;
mod function;
mod io_uring;
mod jvm;
mod netdev;
mod numbers;
mod process;
mod sched;
mod signal;
mod socket;
mod syscall;
