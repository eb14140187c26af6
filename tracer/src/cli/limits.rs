//! Limits: of open files, because each probe takes one or two descriptors, and each map and program one;
//! of locked memory, for maps before Linux 5.11.

use std::{error::Error, io, sync::OnceLock};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tracer::session::{Refusal, SessionError};

const RAISED: [Resource; 2] = [Resource::Nofile, Resource::Memlock];

/// The limits when this program began.
static BEFORE: OnceLock<[Rlimit; RAISED.len()]> = OnceLock::new();

/// Raises them as far as possible: without CAP_SYS_RESOURCE, to the hard limits.
pub fn raise() {
    let before = RAISED.map(getrlimit);
    let [files, memory] = RAISED;
    // A failure shows later, where the limit is too low. The soft limit is low for programs that use
    // `select`, which this one does not.
    let _ = setrlimit(files, Rlimit { current: before[0].maximum, ..before[0] });
    let _ = setrlimit(memory, Rlimit { current: None, maximum: None })
        .or_else(|_| setrlimit(memory, Rlimit { current: before[1].maximum, ..before[1] }));
    let _ = BEFORE.set(before);
}

/// Restores them for a command, between fork and exec.
pub fn restore() -> io::Result<()> {
    let Some(before) = BEFORE.get() else { return Ok(()) };
    RAISED.into_iter().zip(before).try_for_each(|(limit, was)| Ok(setrlimit(limit, *was)?))
}

/// Advice on an error, if that limit is the reason.
pub fn advice(error: &anyhow::Error) -> &'static str {
    match error.chain().find_map(errno) {
        Some(libc::EMFILE) => {
            "; copytrace needs about 300 files: raise the limit with `ulimit -Hn 1024`"
        }
        _ => "",
    }
}

/// The kernel's number of an error, in the error types of opening files and making maps.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let of_session = || error.downcast_ref::<SessionError>()?.errno();
    let of_refusal = || error.downcast_ref::<Refusal>()?.errno();
    let of_io = || error.downcast_ref::<io::Error>()?.raw_os_error();
    let of_call = || Some(error.downcast_ref::<Errno>()?.raw_os_error());
    of_session().or_else(of_refusal).or_else(of_io).or_else(of_call)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_limit_is_known_by_its_number() {
        let full = || io::Error::from_raw_os_error(libc::EMFILE);
        let of_map = SessionError::Map { map: "TASKS".into(), error: full().into() };
        for error in
            [of_map.into(), Refusal::from(full()).into(), full().into(), Errno::MFILE.into()]
        {
            let error = Err::<(), anyhow::Error>(error).context("cannot start").unwrap_err();
            assert!(advice(&error).contains("ulimit"), "{error:?}");
        }
        for error in [anyhow::anyhow!("{}", full()), Errno::PERM.into()] {
            assert_eq!(advice(&error), "", "{error:?}");
        }
    }
}
