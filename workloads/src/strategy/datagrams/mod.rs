//! From memory into datagrams. [`Job::socket`] is connected to a consumer's socket, and the consumer
//! answers with count and hash by a connection beside it; or to a device that counts its packets and
//! drops them. Delivered means that a byte entered the socket.
//!
//! [`Job::socket`]: super::contract::Job::socket

use super::contract::Strategy;

mod cut;
mod udp_msg_zerocopy;
mod udp_send;

/// The strategies of this route.
pub static STRATEGIES: &[&Strategy] = &[&udp_send::STRATEGY, &udp_msg_zerocopy::STRATEGY];
