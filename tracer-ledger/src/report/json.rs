//! One JSON document, and its schema.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::escape;

pub(super) fn write(report: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    write_as::<PrettyFormatter>(report, out)
}

/// As [`write`], in one line.
pub(super) fn write_line(report: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    write_as::<CompactFormatter>(report, out)
}

fn write_as<F: Formatter + Default>(
    report: &impl Serialize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let json = escape::Json::<F>::default();
    report.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, json))?;
    writeln!(out)
}

/// Writes the JSON Schema of a document. `name`: of the schema, such as `copytrace/flows/2`.
pub fn write_schema<T: JsonSchema>(name: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = generator.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:{}", name.replace('/', ":")).into());
    serde_json::to_writer_pretty(&mut *out, &schema)?;
    writeln!(out)
}
