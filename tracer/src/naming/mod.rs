//! Names for the numbers of the eBPF programs: files by their paths, sockets by their addresses, places
//! in machine code by their functions.

mod endpoint;
#[cfg(test)]
mod hostile;
mod names;
mod path;
mod perf_map;
mod socket;
mod symbols;
mod words;

pub use names::Names;
pub use symbols::{Code, Symbols};
