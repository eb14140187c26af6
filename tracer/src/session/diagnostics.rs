//! Messages of the eBPF programs, passed on to the log.

use aya_log::EbpfLogger;
use tokio::io::unix::AsyncFd;

use super::{
    error::{SessionError, map_error},
    misses,
    object::Object,
    refusal::Refusal,
};

/// The map that records pass through, which every program that logs has.
const RECORDS: &str = "AYA_LOGS";

/// A program that logs.
const LOGS: &str = "sys_enter";

/// Passes on log records until the runtime ends. Needs a tokio runtime.
pub fn forward(object: &Object) -> Result<(), SessionError> {
    let failed = |error: Refusal| map_error(RECORDS, error);
    let program = object.program(LOGS).ok_or_else(|| failed("no program logs".into()))?;
    let id = misses::id(program).map_err(|error| failed(error.into()))?;
    let logger = EbpfLogger::init_from_id(id).map_err(|error| failed(Refusal::of(&error)))?;
    // SAFETY: the logger owns its ring buffer's descriptor for as long as it lives, and it lives
    // inside the `AsyncFd`.
    let mut logger =
        unsafe { AsyncFd::register(logger) }.map_err(|error| failed(Refusal::of(&error)))?;
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}
