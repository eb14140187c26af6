//! The span that is measured: from the first consumer's order to the end of the last one's. It is also
//! the window of the probes.

use std::{
    net::TcpStream,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{usage::Usage, window};

/// The kernel's account of the broker, from the first order to the end of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// CPU time in user and kernel mode, in nanoseconds.
    pub cpu_ns: u64,
    /// Page faults, with and without I/O.
    pub faults: u64,
}

/// Consumers whose orders are measured together.
#[derive(Debug)]
pub struct Span {
    consumers: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: usize,
    ended: usize,
    before: Option<Usage>,
}

impl Span {
    /// A span of the first orders of `consumers` consumers.
    pub fn new(consumers: usize) -> Self {
        Self { consumers, state: Mutex::default() }
    }

    /// The number of measured consumers.
    pub fn consumers(&self) -> usize {
        self.consumers
    }

    /// Notes a consumer's order. The first one opens the window.
    pub fn begin(&self, socket: &TcpStream) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun += 1;
        if state.begun > self.consumers {
            return;
        }
        state.before.get_or_insert_with(Usage::now);
        window::open(Some(socket.as_fd()));
    }

    /// Notes a finished order. The last one closes the window, and returns the result.
    pub fn end(&self) -> Option<Spent> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended += 1;
        if state.ended != self.consumers {
            return None;
        }
        window::close();
        let spent = Usage::now().since(state.before?);
        Some(Spent { cpu_ns: spent.cpu_ns, faults: spent.minor_faults + spent.major_faults })
    }
}
