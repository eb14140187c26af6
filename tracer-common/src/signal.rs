//! Signals that traced processes were sent.

/// Which signal, and to whom.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The process, as users know it.
    pub process: u32,
    /// Its number.
    pub number: u32,
}

/// The last time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// By which process, as users know it; 0 of one that they cannot know.
    pub sender: u32,
    /// No undefined bytes.
    pub padding: u32,
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
}
