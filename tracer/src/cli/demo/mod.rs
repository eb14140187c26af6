//! `copytrace demo`: runs the strategies and measures what one message costs.

mod options;
mod run;
mod timing;

use std::{io, process::ExitCode};

use tracer_ledger::{
    expect::of_strategies,
    report::{self, Report},
};

use super::{bundled, expect::conclude};

pub use options::{Options, Setting, names};
pub use run::{Request, measure};

/// Runs the verb. The exit status is 0 if every strategy was measured and no rule is broken, 3 if one is,
/// 128 + n after signal n.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    if options.list {
        workloads::strategy::write_list(&mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    options.check();
    let request = Request {
        strategies: &options.strategies,
        messages: options.messages,
        rounds: options.rounds,
        setting: &options.setting,
        common: &options.common,
    };
    let judged = async {
        let mut report = measure(&request, verbose).await?;
        report.expectations = of_strategies(&options.expect.rules(), &report);
        Ok(report)
    };
    let judge = |report: &Report| conclude(&report.expectations, false);
    bundled::run(&options.outputs, judged, report::write, judge)
}
