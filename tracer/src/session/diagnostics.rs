//! What the eBPF programs say of themselves, passed on to the log.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::unix::AsyncFd;

use super::SessionError;

/// Passes on log records until the runtime ends. Needs a tokio runtime.
pub fn forward(ebpf: &mut Ebpf) -> Result<(), SessionError> {
    let failed =
        |error: &dyn ToString| SessionError::Map { map: "AYA_LOGS", error: error.to_string() };
    let logger = EbpfLogger::init(ebpf).map_err(|error| failed(&error))?;
    // SAFETY: the logger owns its ring buffer's descriptor for as long as it lives, and it lives
    // inside the `AsyncFd`.
    let mut logger = unsafe { AsyncFd::register(logger) }.map_err(|error| failed(&error))?;
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}
