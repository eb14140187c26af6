//! Two runs side by side: before and after something was changed.

use std::{collections::BTreeMap, io};

use comfy_table::{Cell, CellAlignment};
use schemars::JsonSchema;
use serde::Serialize;

use super::{FlowRow, Report, names, table};
use crate::{
    flows::{Kind, verdict::Code},
    report::{
        Style,
        escape::plain,
        table::{bold, empty, trimmed},
        words,
    },
};

/// The name of the JSON document's schema.
pub const SCHEMA: &str = "copytrace/diff/2";

/// The flows of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Diff {
    /// Name and version of this document's schema.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What was traced first, and then.
    pub targets: [String; 2],
    /// The flows, the busiest first.
    pub flows: Vec<Pair>,
}

/// One flow in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Pair {
    /// Name of the program.
    pub comm: String,
    /// What the bytes came from.
    pub source: Kind,
    /// What they went to.
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
    /// What the numbers say.
    pub verdict: Code,
}

impl From<&FlowRow> for Side {
    fn from(row: &FlowRow) -> Self {
        Self {
            payload_bytes: row.payload_bytes,
            cpu_copies_per_byte: row.copies_per_byte.cpu,
            mode_switches_per_mib: row.mode_switches_per_mib,
            verdict: row.verdict.code,
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
        if before == after { before } else { format!("{before} → {after}") }
    }
}

/// Writes one JSON document.
pub fn write_json(diff: &Diff, out: &mut dyn io::Write) -> io::Result<()> {
    crate::report::json::write(diff, out)
}

/// Writes a table.
pub fn write_table(diff: &Diff, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let mut table = empty(style);
    let headings = ["program", "flow", "payload", "CPU\ncopies", "switches\na MiB", "verdict"];
    table.set_header(headings.map(|heading| bold(Cell::new(heading))));
    for pair in &diff.flows {
        table.add_row([
            bold(Cell::new(names::program(&plain(&pair.comm)))),
            Cell::new(plain(&format!("{} → {}", pair.source, pair.destination))),
            Cell::new(pair.compared(|side| words::size(side.payload_bytes))),
            Cell::new(pair.compared(|side| table::copies(side.cpu_copies_per_byte))),
            Cell::new(pair.compared(|side| format!("{:.0}", side.mode_switches_per_mib))),
            Cell::new(pair.compared(|side| code(side.verdict))),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{}\n", trimmed(&table))?;
    for (name, target) in ["Before", "After"].into_iter().zip(&diff.targets) {
        writeln!(out, " {}  {}", style.bold(format!("{name:<6}")), plain(target))?;
    }
    Ok(())
}

fn code(code: Code) -> String {
    let name = serde_json::to_value(code).unwrap_or_default();
    name.as_str().unwrap_or_default().replace('-', " ")
}
