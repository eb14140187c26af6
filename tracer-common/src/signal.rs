//! Signals that traced processes were sent.

/// A signal and its receiver.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The process, as users know it.
    pub process: u32,
    /// Its number.
    pub number: u32,
}

/// The last time a signal was sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The sender, as users know it; 0 if it is outside the user's PID namespace.
    pub sender: u32,
    /// No undefined bytes.
    pub padding: u32,
    /// The time in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
}
