//! State kept between events, in maps.

pub mod call;
pub mod clock;
pub mod counters;
pub mod entry;
pub mod mapping;
pub mod module;
pub mod object;
pub mod preemption;
pub mod process;
pub mod reads;
pub mod sequence;
pub mod socket;
pub mod stack;
pub mod tasks;
