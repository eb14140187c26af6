//! From a file to another. [`Job::socket`] is the destination, an empty file without a name beside the
//! payload; it is read at the end. Delivered means that a byte entered its page cache, or that the two
//! files share their blocks on the disk.
//!
//! [`Job::socket`]: super::contract::Job::socket

use super::contract::Strategy;

mod copy_file_range;
mod mmap_memcpy_file;
mod read_write_file;
mod sendfile_file;

/// The strategies of this route.
pub static STRATEGIES: &[&Strategy] = &[
    &read_write_file::STRATEGY,
    &copy_file_range::STRATEGY,
    &sendfile_file::STRATEGY,
    &mmap_memcpy_file::STRATEGY,
];
