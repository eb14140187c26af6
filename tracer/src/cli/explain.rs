//! `copytrace explain`: one message by each strategy, as a picture.

use std::{io, process::ExitCode};

use tracer_ledger::report::{Report, Style, explain};

use super::{
    bundled,
    demo::{Request, Setting, measure, names},
    output::Outputs,
};

const VERB: &str = "explain";

/// Arguments of `copytrace explain`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Strategies to draw, or `all`; `copytrace demo --list` has a line on each
    #[arg(value_name = "STRATEGY", required = true, value_parser = names(), hide_possible_values = true)]
    strategies: Vec<String>,
    #[command(flatten)]
    setting: Setting,
    #[command(flatten)]
    common: bundled::Options,
    /// Draw with ASCII characters only, for a terminal that shows others wide
    #[arg(long)]
    ascii: bool,
    #[command(flatten)]
    outputs: Outputs<explain::Format>,
}

/// Runs the verb. The exit status is 0 if every strategy was measured, 128 + n after signal n.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    let Options { strategies, setting, common, ascii, outputs } = options;
    common.check(VERB);
    setting.check(VERB, common);
    outputs.check(VERB, None);
    let request = Request { strategies, messages: 1, rounds: 0, setting, common };
    let write = |format, report: &Report, style: &Style, out: &mut dyn io::Write| {
        let style = Style { ascii: style.ascii || *ascii, ..*style };
        explain::write(format, report, &style, out)
    };
    let judge = |_: &Report| ExitCode::SUCCESS;
    bundled::run(outputs, measure(&request, verbose), write, judge)
}
