//! One JSON document, and its schema.

use std::io;

use super::Report;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// Writes the JSON Schema of the document.
pub fn write_schema(out: &mut dyn io::Write) -> io::Result<()> {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = generator.into_generator().into_root_schema_for::<Report>();
    serde_json::to_writer_pretty(&mut *out, &schema)?;
    writeln!(out)
}
