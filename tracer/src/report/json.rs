//! One JSON document, and its schema.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::escape;

pub(super) fn write(report: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    let json = escape::Json::default();
    report.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, json))?;
    writeln!(out)
}

/// Writes the JSON Schema of a document.
pub fn write_schema<T: JsonSchema>(out: &mut dyn io::Write) -> io::Result<()> {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = generator.into_generator().into_root_schema_for::<T>();
    serde_json::to_writer_pretty(&mut *out, &schema)?;
    writeln!(out)
}
