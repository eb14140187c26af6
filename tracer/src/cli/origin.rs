//! The origin of a document: the copytrace that made it.

use std::{env, time::SystemTime};

use tracer_ledger::report::Origin;

use super::{machine, trace::arguments};

/// The commit that was checked out when this program was built, if `build.rs` found one.
const COMMIT: Option<&str> = option_env!("COPYTRACE_COMMIT");

/// The origin of a measurement that begins now. `with_arguments`: secrets on the command line are kept.
pub fn now(with_arguments: bool) -> Origin {
    let words: Vec<_> = env::args_os().collect();
    Origin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: COMMIT.map(str::to_owned),
        started: time(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        processor: machine::processor(),
        cpus: machine::cpus(),
        hypervisor: machine::hypervisor(),
        command_line: arguments::described(&words, with_arguments),
    }
}

/// The time in RFC 3339 format, in UTC.
pub fn time() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
