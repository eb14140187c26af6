//! Out of a socket. At the far end is a consumer that sends a payload which both ends can make;
//! what came of it the strategy itself has to say, in [`Transfer::received`]. Delivered means that
//! a byte left the socket for memory or a file.
//!
//! [`Transfer::received`]: super::contract::Transfer::received

use super::contract::Strategy;

mod incoming;
mod recv;
mod recv_zerocopy;
mod splice_recv;

/// The strategies of this route.
pub static STRATEGIES: &[&Strategy] =
    &[&recv::STRATEGY, &recv_zerocopy::STRATEGY, &splice_recv::STRATEGY];
