//! Out of a socket. The far end is a consumer that sends a payload which both ends can generate. The
//! strategy itself reports the received bytes, in [`Transfer::received`]. Delivered means that a byte
//! left the socket for memory or a file.
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
