//! `copytrace schema`: the JSON Schema of `--format json`.

use std::process::ExitCode;

use tracer_ledger::report::{
    self,
    brokers::{self, BrokerReport},
    flows::{
        self,
        diff::{self, Diff},
        jsonl::Line,
    },
    write_schema,
};

use super::output::Destination;

/// Arguments of `copytrace schema`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Document whose schema to print
    #[arg(value_enum, default_value = "strategies")]
    document: Document,
}

/// Documents that have a schema.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Document {
    /// The document of `demo`
    Strategies,
    /// The document of `brokers`
    Brokers,
    /// The document of `run`, `attach` and `report`
    Flows,
    /// A line of their `--format jsonl`
    Lines,
    /// The document of `diff`
    Diff,
}

/// The name of the schema of a line, whose document has a name of its own in it.
const LINES: &str = "copytrace/lines/2";

/// Prints the schema to stdout.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    Destination::Stdout.print(|_, out| match options.document {
        Document::Strategies => write_schema::<report::Report>(report::SCHEMA, out),
        Document::Brokers => write_schema::<BrokerReport>(brokers::SCHEMA, out),
        Document::Flows => write_schema::<flows::Report>(flows::SCHEMA, out),
        Document::Lines => write_schema::<Line>(LINES, out),
        Document::Diff => write_schema::<Diff>(diff::SCHEMA, out),
    })?;
    Ok(ExitCode::SUCCESS)
}
