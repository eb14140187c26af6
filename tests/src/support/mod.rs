//! Shared parts of the checks: documents, traced programs, and expected numbers.

pub mod browser;
pub mod document;
pub mod expected;
pub mod left;
pub mod nginx;
pub mod report;
pub mod sink;
pub mod traced;
