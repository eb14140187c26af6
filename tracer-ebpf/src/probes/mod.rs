//! The programs: one file a kernel subsystem.

mod block;
mod cipher;
mod copy;
mod fault;
mod flow;
mod io_uring;
mod netdev;
mod numbers;
mod process;
mod sched;
mod signal;
mod socket;
mod syscall;
