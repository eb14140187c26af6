//! What a kernel is: its types, its symbols, its text, and what is known of it.

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
