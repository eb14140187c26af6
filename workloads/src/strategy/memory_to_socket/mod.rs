//! From memory to a socket, as in a broker that keeps its messages there. The far end is as in
//! [`super::file_to_socket`].

use super::contract::Strategy;

mod vmsplice;
pub mod write;

/// The strategies of this route.
pub static STRATEGIES: &[&Strategy] = &[&write::STRATEGY, &vmsplice::STRATEGY];
