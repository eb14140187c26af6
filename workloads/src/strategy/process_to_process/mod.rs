//! From one process's memory to another's. The far end is a child of the measured process, the
//! [peer](crate::peer), and [`Job::socket`] is this end of the channel to it. The peer answers with count
//! and hash, unless it only holds the payload for the measured process to read. Delivered means that a
//! byte reached the receiver's memory.
//!
//! [`Job::socket`]: super::contract::Job::socket

use super::contract::Strategy;

mod pipe;
mod pipe_vmsplice;
mod process_vm_readv;
mod shared_memory;
mod unix_stream;

/// The strategies of this route.
pub static STRATEGIES: &[&Strategy] = &[
    &pipe::STRATEGY,
    &pipe_vmsplice::STRATEGY,
    &unix_stream::STRATEGY,
    &process_vm_readv::STRATEGY,
    &shared_memory::STRATEGY,
];
