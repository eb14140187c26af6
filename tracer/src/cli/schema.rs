//! `copytrace schema`: the JSON Schema of what `--format json` prints.

use std::{io::stdout, process::ExitCode};

use tracer::report::{
    self,
    brokers::BrokerReport,
    flows::{Report as Flows, diff::Diff},
};

/// Arguments of `copytrace schema`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Of which document
    #[arg(value_enum, default_value = "strategies")]
    document: Document,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Document {
    /// What `demo` prints
    Strategies,
    /// What `demo --scenario brokers` prints
    Brokers,
    /// What `run`, `attach` and `report` print
    Flows,
    /// What `diff` prints
    Diff,
}

/// Prints the schema to stdout.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = stdout().lock();
    match options.document {
        Document::Strategies => report::write_schema::<report::Report>(&mut out),
        Document::Brokers => report::write_schema::<BrokerReport>(&mut out),
        Document::Flows => report::write_schema::<Flows>(&mut out),
        Document::Diff => report::write_schema::<Diff>(&mut out),
    }?;
    Ok(ExitCode::SUCCESS)
}
