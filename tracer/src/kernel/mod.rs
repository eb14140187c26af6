//! What this kernel is: its types, its symbols, its text.

pub mod btf;
mod cache;
mod facts;
pub mod scan;
pub mod symbols;
pub mod text;
mod wanted;

pub use facts::{Allocation, Breadth, Facts, FactsError, ITERATOR_KINDS};
