//! A kernel: its types, its symbols, its text, and the facts derived from them.

pub mod btf;
mod facts;
mod function_text;
mod record;
pub mod scan;
pub mod symbols;
pub mod text;
mod wanted;

pub use facts::{ALLOCATOR, Allocation, Facts, FactsError};
pub use function_text::FunctionText;
pub use record::Record;
pub use wanted::Wanted;
