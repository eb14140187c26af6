//! What checks share: documents, traced programs, and what is expected.

pub mod browser;
pub mod document;
pub mod expected;
pub mod left;
pub mod nginx;
pub mod report;
pub mod sink;
pub mod traced;
