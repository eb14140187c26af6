//! What this kernel is: its types, its symbols, its text.

pub mod btf;
mod cache;
mod facts;
mod record;
pub mod scan;
pub mod symbols;
pub mod text;
mod wanted;

pub use facts::{Allocation, Breadth, Facts, FactsError, ITERATOR_KINDS};
pub use record::Record;

/// What a kernel says that was recorded for the tests.
#[cfg(test)]
pub(crate) fn recorded(kernel: &str) -> Facts {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let file = std::fs::File::open(folder.join(format!("{kernel}.tar.gz"))).unwrap();
    Record::read(file).unwrap().facts().unwrap()
}
