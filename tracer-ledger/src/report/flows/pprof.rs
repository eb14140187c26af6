//! A profile for `pprof` and the tools that read its format: bytes copied by the CPU, by stack.
//!
//! The messages are those of `profile.proto` in <https://github.com/google/pprof>, as far as they
//! are needed.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write as _},
};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use super::{Report, StackRow};
use crate::{Provenance, flows::stacks::Frame};

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut packed = GzEncoder::new(out, Compression::default());
    packed.write_all(&profile(report).encode_to_vec())?;
    packed.finish().map(drop)
}

fn profile(report: &Report) -> Profile {
    let mut tables = Tables::default();
    // The format wants it first.
    tables.text("");
    let copied = tables.value_type("copied", "bytes");
    let copies = tables.value_type("copies", "count");
    let default_sample_type = copied.kind;
    let sample = report.stacks.iter().flatten().map(|row| tables.sample(row)).collect();
    let comment = vec![tables.text(&format!("copytrace: {}", report.target))];
    let Tables { texts, mappings, functions, locations, .. } = tables;
    Profile {
        sample_type: vec![copied, copies],
        sample,
        mapping: mappings,
        location: locations,
        function: functions,
        string_table: in_order(texts),
        duration_nanos: signed(report.duration_ns),
        comment,
        default_sample_type,
    }
}

/// The tables that samples refer to, by number.
#[derive(Default)]
struct Tables {
    texts: HashMap<String, i64>,
    mappings: Vec<Mapping>,
    mapping_ids: HashMap<String, u64>,
    functions: Vec<Function>,
    locations: Vec<Location>,
    location_ids: BTreeMap<Frame, u64>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        let next = self.texts.len() as i64;
        *self.texts.entry(text.to_owned()).or_insert(next)
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> ValueType {
        ValueType { kind: self.text(kind), unit: self.text(unit) }
    }

    fn sample(&mut self, row: &StackRow) -> Sample {
        let routine = match row.routine.as_str() {
            "" => "[no stack]",
            routine => routine,
        };
        let innermost = Frame { function: routine.to_owned(), module: "kernel".to_owned() };
        let frames = [&innermost].into_iter().chain(&row.kernel).chain(&row.user);
        let location_id = frames.map(|frame| self.location(frame)).collect();
        let labels = [
            ("program", row.process.comm.clone()),
            ("from", row.from.to_string()),
            ("to", row.to.to_string()),
            ("provenance", provenance(row.provenance).to_owned()),
        ];
        let label = labels.map(|(key, text)| Label { key: self.text(key), text: self.text(&text) });
        let value = vec![signed(row.bytes), signed(row.calls)];
        Sample { location_id, value, label: label.into() }
    }

    /// One for each function: where in it a call was is not told apart.
    fn location(&mut self, frame: &Frame) -> u64 {
        if let Some(id) = self.location_ids.get(frame) {
            return *id;
        }
        let id = self.locations.len() as u64 + 1;
        let function =
            Function { id, name: self.text(&frame.function), filename: self.text(&frame.module) };
        let mapping_id = self.mapping(&frame.module);
        self.functions.push(function);
        self.locations.push(Location { id, mapping_id, line: vec![Line { function_id: id }] });
        self.location_ids.insert(frame.clone(), id);
        id
    }

    fn mapping(&mut self, file: &str) -> u64 {
        if let Some(id) = self.mapping_ids.get(file) {
            return *id;
        }
        let id = self.mappings.len() as u64 + 1;
        let filename = self.text(file);
        self.mappings.push(Mapping { id, filename, has_functions: true });
        self.mapping_ids.insert(file.to_owned(), id);
        id
    }
}

fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "measured",
        Provenance::Derived => "derived",
    }
}

fn in_order(texts: HashMap<String, i64>) -> Vec<String> {
    let mut texts: Vec<(i64, String)> = texts.into_iter().map(|(text, id)| (id, text)).collect();
    texts.sort();
    texts.into_iter().map(|(_, text)| text).collect()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) fn read(packed: &[u8]) -> Vec<(Vec<String>, Vec<i64>)> {
    use io::Read as _;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let profile = Profile::decode(bytes.as_slice()).unwrap();
    assert_eq!(profile.string_table[0], "");
    let name = |id: &u64| {
        let location = profile.location.iter().find(|location| location.id == *id).unwrap();
        let id = location.line[0].function_id;
        let function = profile.function.iter().find(|function| function.id == id).unwrap();
        profile.string_table[function.name as usize].clone()
    };
    let samples = profile.sample.iter();
    samples.map(|it| (it.location_id.iter().map(name).collect(), it.value.clone())).collect()
}
