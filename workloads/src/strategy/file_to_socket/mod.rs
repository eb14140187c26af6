//! From a file to a socket. The far end is a consumer, and [`Job::socket`] the connection to it: it
//! receives, over TLS if asked to, and answers with count and hash. Delivered means that a byte entered
//! the socket.
//!
//! [`Job::socket`]: super::contract::Job::socket

use super::contract::Strategy;

mod io_uring_send;
mod io_uring_send_zc;
mod io_uring_splice;
mod kernel_tls;
mod mapped;
mod mmap_heap_write;
mod mmap_populate_write;
mod mmap_touch_write;
mod mmap_write;
mod msg_zerocopy;
mod odirect_write;
mod pread_writev;
pub mod read_write;
mod ring;
pub mod sendfile;
mod sendfile_ktls;
mod splice;
mod write_ktls;

/// The strategies of this route: those of the textbook first, in their order.
pub static STRATEGIES: &[&Strategy] = &[
    &read_write::STRATEGY,
    &mmap_write::STRATEGY,
    &sendfile::STRATEGY,
    &pread_writev::STRATEGY,
    &splice::STRATEGY,
    &odirect_write::STRATEGY,
    &mmap_touch_write::STRATEGY,
    &mmap_populate_write::STRATEGY,
    &mmap_heap_write::STRATEGY,
    &msg_zerocopy::STRATEGY,
    &io_uring_send::STRATEGY,
    &io_uring_send_zc::STRATEGY,
    &io_uring_splice::STRATEGY,
    &sendfile_ktls::STRATEGY,
    &write_ktls::STRATEGY,
];
