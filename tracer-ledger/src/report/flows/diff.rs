//! Two runs side by side: before and after a change.

use std::{collections::BTreeMap, io};

use schemars::JsonSchema;
use serde::Serialize;

use super::{FlowRow, Report};
use crate::{
    Provenance,
    flows::{Kind, verdict::Code},
    report::{
        Format, Style,
        document::{Cell, Column, Fact, Row, Section, Table, Tone},
        escape::{cell, plain},
        html::{Page, Part},
        write_in,
    },
    words,
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/diff/2";

/// The flows of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Diff {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The first and the second traced target.
    pub targets: [String; 2],
    /// The flows, the busiest first.
    pub flows: Vec<Pair>,
}

/// One flow in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Pair {
    /// Name of the program.
    pub comm: String,
    /// The kind of the source.
    pub source: Kind,
    /// The kind of the destination.
    pub destination: Kind,
    /// In the first run.
    pub before: Option<Side>,
    /// In the second run.
    pub after: Option<Side>,
}

/// A flow in one of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// Bytes that reached the destination.
    pub payload_bytes: u64,
    /// Copies of each by the CPU.
    /// `null` where unseen bytes leave it open.
    pub cpu_copies_per_byte: Option<f64>,
    /// Mode switches for each MiB.
    pub mode_switches_per_mib: f64,
    /// The verdict.
    pub verdict: Code,
    /// `derived` if one of its movements was not seen by a witness.
    pub provenance: Provenance,
}

impl From<&FlowRow> for Side {
    fn from(row: &FlowRow) -> Self {
        Self {
            payload_bytes: row.payload_bytes,
            cpu_copies_per_byte: row.copies_per_byte.cpu,
            mode_switches_per_mib: row.mode_switches_per_mib,
            verdict: row.verdict.code,
            provenance: row.provenance,
        }
    }
}

impl Diff {
    /// Of two reports whose rows are as coarse as kinds: finer ones have nothing in common.
    pub fn new(before: &Report, after: &Report) -> Self {
        type Key<'a> = (&'a str, Kind, Kind);
        let key = |row: &FlowRow| (row.source.kind, row.destination.kind);
        let mut pairs: BTreeMap<Key<'_>, [Option<Side>; 2]> = BTreeMap::new();
        for (index, report) in [before, after].into_iter().enumerate() {
            for row in &report.flows {
                let (source, destination) = key(row);
                let pair = pairs.entry((&row.process.comm, source, destination)).or_default();
                pair[index] = Some(row.into());
            }
        }
        let pair =
            |((comm, source, destination), [before, after]): (Key<'_>, [Option<Side>; 2])| Pair {
                comm: comm.to_owned(),
                source,
                destination,
                before,
                after,
            };
        let mut flows: Vec<Pair> = pairs.into_iter().map(pair).collect();
        flows.sort_by_key(|pair| std::cmp::Reverse(pair.most()));
        Self {
            schema: SCHEMA.to_owned(),
            targets: [before.target.clone(), after.target.clone()],
            flows,
        }
    }
}

impl Pair {
    fn most(&self) -> u64 {
        let bytes = |side: Option<Side>| side.map_or(0, |side| side.payload_bytes);
        bytes(self.before).max(bytes(self.after))
    }

    fn compared(&self, show: impl Fn(Side) -> String) -> String {
        let show = |side: Option<Side>| side.map_or("–".to_owned(), &show);
        let (before, after) = (show(self.before), show(self.after));
        if before == after { before } else { format!("{after} (was {before})") }
    }
}

/// Writes the comparison. Only the table looks at the style.
pub fn write(
    format: Format,
    diff: &Diff,
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    write_in(format, diff, |diff, _| sections(diff), page, write_csv, style, out)
}

/// The columns, in the order of [`row`].
const COLUMNS: [Column; 6] = [
    Column::name("program", 9),
    Column::word("flow"),
    Column::word("payload").leaves(2),
    Column::word("CPU\ncopies"),
    Column::word("switches\nper MiB").leaves(1),
    Column::word("verdict").leaves(3),
];

/// A flow is shown if it is at least this fraction of the total.
const PARTS: u128 = 100;

/// The sections, from top to bottom.
fn sections(diff: &Diff) -> Vec<Section> {
    let [before, after] = &diff.targets;
    let all: u128 = diff.flows.iter().map(|pair| u128::from(pair.most())).sum();
    let (shown, rest): (Vec<_>, Vec<_>) =
        diff.flows.iter().partition(|pair| u128::from(pair.most()) * PARTS >= all);
    let rows = shown.into_iter().map(row).collect();
    let rest = match rest.len() {
        0 => Vec::new(),
        1 => vec!["1 smaller flow is not shown; --format csv has each".to_owned()],
        more => vec![format!("{more} smaller flows are not shown; --format csv has each")],
    };
    vec![
        Section::Answer(vec![answer(diff)]),
        Section::Table(Table { columns: COLUMNS.to_vec(), rows, ..Table::default() }),
        Section::Legend(rest),
        Section::Facts(vec![Fact::new("Before", plain(before)), Fact::new("After", plain(after))]),
    ]
}

/// What a page shows.
fn page(diff: &Diff) -> Page {
    let parts = sections(diff).into_iter().map(Part::from).collect();
    Page { title: "Before and after: the flows of two runs".to_owned(), parts }
}

fn row(pair: &Pair) -> Row {
    Row::of([
        Cell::new(plain(&pair.comm)).toned(Tone::Strong),
        Cell::new(format!("{} → {}", pair.source, pair.destination)),
        Cell::new(pair.compared(|side| words::size(side.payload_bytes))),
        Cell::new(pair.compared(copies)),
        Cell::new(pair.compared(|side| format!("{:.0}", side.mode_switches_per_mib))),
        Cell::new(pair.compared(|side| code(side.verdict))),
    ])
}

/// Copies by the CPU, or that they were not seen.
fn copies(side: Side) -> String {
    let mark = if side.provenance == Provenance::Derived { "~" } else { "" };
    let number = |copies| format!("{mark}{}", words::copies(copies));
    side.cpu_copies_per_byte.map_or_else(|| words::UNSEEN.to_owned(), number)
}

/// The change of the busiest flow that changed.
fn answer(diff: &Diff) -> String {
    let changed = diff.flows.iter().find_map(|pair| Some((pair, change(pair)?)));
    match changed {
        Some((pair, change)) => {
            format!("{}, {} → {}: {change}.", plain(&pair.comm), pair.source, pair.destination)
        }
        None => "No flow has other copies or mode switches than before.".to_owned(),
    }
}

/// `0.00 CPU copies per byte (before: 2.00), 3 mode switches per MiB (before: 128)`
fn change(pair: &Pair) -> Option<String> {
    let (before, after) = match (pair.before, pair.after) {
        (Some(before), Some(after)) => (before, after),
        (Some(_), None) => return Some("only before".to_owned()),
        (None, Some(_)) => return Some("only after".to_owned()),
        (None, None) => return None,
    };
    let number = |show: &dyn Fn(Side) -> String, what: &str| {
        let (before, after) = (show(before), show(after));
        (before != after).then(|| format!("{after} {what} (before: {before})"))
    };
    let changes = [
        number(&copies, "CPU copies per byte"),
        number(&|side| format!("{:.0}", side.mode_switches_per_mib), "mode switches per MiB"),
    ];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// One line for each flow.
fn write_csv(diff: &Diff, out: &mut dyn io::Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        comm: &'a str,
        source: Kind,
        destination: Kind,
        payload_bytes_before: Option<u64>,
        payload_bytes_after: Option<u64>,
        cpu_copies_per_byte_before: Option<f64>,
        cpu_copies_per_byte_after: Option<f64>,
        mode_switches_per_mib_before: Option<f64>,
        mode_switches_per_mib_after: Option<f64>,
        verdict_before: Option<Code>,
        verdict_after: Option<Code>,
    }
    let mut lines = csv::Writer::from_writer(out);
    for Pair { comm, source, destination, before, after } in &diff.flows {
        lines.serialize(Line {
            comm: &cell(comm),
            source: *source,
            destination: *destination,
            payload_bytes_before: before.map(|side| side.payload_bytes),
            payload_bytes_after: after.map(|side| side.payload_bytes),
            cpu_copies_per_byte_before: before.and_then(|side| side.cpu_copies_per_byte),
            cpu_copies_per_byte_after: after.and_then(|side| side.cpu_copies_per_byte),
            mode_switches_per_mib_before: before.map(|side| side.mode_switches_per_mib),
            mode_switches_per_mib_after: after.map(|side| side.mode_switches_per_mib),
            verdict_before: before.map(|side| side.verdict),
            verdict_after: after.map(|side| side.verdict),
        })?;
    }
    lines.flush()
}

fn code(code: Code) -> String {
    let name = serde_json::to_value(code).unwrap_or_default();
    name.as_str().unwrap_or_default().replace('-', " ")
}
