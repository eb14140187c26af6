//! `copytrace schema`: the JSON Schema of what `--format json` prints.

use std::process::ExitCode;

/// Prints the schema to stdout.
pub fn run() -> anyhow::Result<ExitCode> {
    tracer::report::write_schema(&mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
