//! All checks, one file an area.

pub mod bad_use;
pub mod brokers;
pub mod detail;
pub mod documents;
pub mod expect;
pub mod flows;
pub mod further;
pub mod jvm;
pub mod made_code;
pub mod manners;
pub mod nginx;
pub mod page;
pub mod postgres;
pub mod programs;
pub mod python;
pub mod real_brokers;
pub mod redis;
pub mod screen;
pub mod soak;
pub mod speed;
pub mod together;
pub mod unseen;

use crate::check::Check;
use crate::table::ROWS;

/// The check of that name.
pub fn find(name: &str) -> Option<&'static Check> {
    ROWS.iter().flat_map(|row| row.checks).find(|check| check.name == name)
}
