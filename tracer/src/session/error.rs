//! The errors of a session.

use std::io;

use super::refusal::Refusal;

/// Why a session could not be started or read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// `COPYTRACE_EBPF_OBJECT=none`, for lints and unit tests.
    #[error(
        "this copytrace was built without its eBPF programs (COPYTRACE_EBPF_OBJECT=none) and can \
         measure nothing; build it with `cargo xtask build`"
    )]
    NoPrograms,
    /// The embedded object is not an eBPF object that this program can use.
    #[error("the eBPF object is broken: {0}; build copytrace again with `cargo xtask build`")]
    Object(Refusal),
    /// The kernel refused a program.
    #[error("cannot load the eBPF program {program}: {error}")]
    Program {
        /// Its name.
        program: String,
        /// The kernel's error.
        error: Refusal,
    },
    /// The kernel refused to attach a program.
    #[error("cannot attach to {target}: {error}")]
    Attach {
        /// Function, tracepoint or address.
        target: String,
        /// The kernel's error.
        error: Refusal,
    },
    /// The numbers of processes in this PID namespace are unknown.
    #[error("cannot find out which processes run in this PID namespace: {0}")]
    Numbers(io::Error),
    /// A map could not be read or written.
    #[error("cannot use the eBPF map {map}: {error}")]
    Map {
        /// Its name.
        map: String,
        /// The kernel's error.
        error: Refusal,
    },
}

impl SessionError {
    /// The kernel's number of the error, if it is the kernel's.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NoPrograms => None,
            Self::Numbers(error) => error.raw_os_error(),
            Self::Object(error)
            | Self::Program { error, .. }
            | Self::Attach { error, .. }
            | Self::Map { error, .. } => error.errno(),
        }
    }
}

/// The error of a map.
pub fn map_error(map: &str, error: impl Into<Refusal>) -> SessionError {
    SessionError::Map { map: map.to_owned(), error: error.into() }
}
