//! `copytrace demo`: runs the strategies and measures what one message costs.

mod options;
mod run;

use std::{io, process::ExitCode};

use tracer_ledger::report::{self, Report};

use super::{bundled, expect::conclude};

pub use options::Options;

/// Runs the verb. The exit status is 0 if every strategy was measured and no rule is broken, 3 if one is,
/// 128 + n after signal n.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    if options.list {
        workloads::strategy::write_list(&mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    options.check();
    let judge = |report: &Report| conclude(&report.expectations, false);
    bundled::run(&options.common, run::measure(options, verbose), report::write, judge)
}
