//! The table for a terminal, and below it each flow's verdict.

use std::io;

use comfy_table::{Cell, CellAlignment, Table};

use super::{End, FlowRow, Report, stack_table};
use crate::{
    flows::Kind,
    ledger::Provenance,
    report::{
        Style,
        table::{Lead, bold, empty, named, paragraph, trimmed, warnings},
        words,
    },
};

const HEADINGS: [&str; 10] = [
    "",
    "program",
    "from",
    "to",
    "payload",
    "CPU\ncopies",
    "DMA\ncopies",
    "by refe-\nrence",
    "switches\na MiB",
    "CPU time\na MiB",
];

/// A column that is there only if cycles are counted.
const CYCLES: &str = "cycles\na byte";
/// Columns that it takes from each of the names.
const LESS_WITH_CYCLES: usize = 4;

/// Rows of the table at most, and those that are shown however small they are; JSON and CSV have
/// them all.
const MOST_ROWS: usize = 20;
const FIRST_ROWS: usize = 5;

/// The part of the payload that the rows must cover.
const ENOUGH: f64 = 0.999;

/// Columns of a path or of an address before its beginning is left out.
const NAME_WIDTH: usize = 20;

const UNITS: &str =
    "Copies a payload byte; mode switches, and CPU time in the calls, a MiB of payload";

pub(super) fn write(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    warnings(report.lost_events, &report.warnings, style, out)?;
    if report.flows.is_empty() {
        writeln!(out, " No data call was made: nothing to show.")?;
    } else {
        writeln!(out, "{}\n", trimmed(&rows(report, style)))?;
        paragraph(out, style, Lead::plain(" "), &units(report), |text| style.dim(text))?;
        writeln!(out)?;
        verdicts(report, style, out)?;
        stack_table::write(report, style, out)?;
    }
    setting(report, style, out)
}

fn units(report: &Report) -> String {
    let derived = report.flows.iter().any(|row| row.provenance == Provenance::Derived);
    if derived { format!("{UNITS}; ~ derived, not measured") } else { UNITS.to_owned() }
}

/// The busiest flows, until they are nearly everything.
fn shown(report: &Report) -> &[FlowRow] {
    let enough = (report.total.payload_bytes as f64 * ENOUGH) as u64;
    let mut covered = 0;
    let needed = report.flows.iter().take_while(|row| {
        let more = covered < enough;
        covered += row.payload_bytes;
        more
    });
    let count = needed.count().clamp(FIRST_ROWS, MOST_ROWS).min(report.flows.len());
    &report.flows[..count]
}

fn rows(report: &Report, style: &Style) -> Table {
    let mut table = empty(style);
    let cycles = report.environment.cycles;
    let width = NAME_WIDTH - if cycles { LESS_WITH_CYCLES } else { 0 };
    let headings = HEADINGS.into_iter().chain(cycles.then_some(CYCLES));
    table.set_header(headings.map(|heading| bold(Cell::new(heading))));
    for (index, row) in shown(report).iter().enumerate() {
        let of_cycles = row.cost.cycles_per_copied_byte.map_or_else(String::new, words::rough);
        table.add_row(
            cells(index, row, width).into_iter().chain(cycles.then(|| Cell::new(of_cycles))),
        );
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cells(index: usize, row: &FlowRow, width: usize) -> Vec<Cell> {
    let mark = if row.provenance == Provenance::Derived { "~" } else { "" };
    vec![
        Cell::new(index + 1),
        bold(Cell::new(owner(row))),
        Cell::new(end(&row.source, width)),
        Cell::new(end(&row.destination, width)),
        Cell::new(words::size(row.payload_bytes)),
        Cell::new(format!("{mark}{}", words::copies(row.copies_per_byte.cpu))),
        Cell::new(words::copies(row.copies_per_byte.dma)),
        Cell::new(format!("{mark}{}", words::copies(row.by_reference_per_byte))),
        Cell::new(words::grouped(row.mode_switches_per_mib.round() as u64)),
        Cell::new(words::time(row.cpu_time_a_mib())),
    ]
}

pub(super) fn owner(row: &FlowRow) -> String {
    let name = &row.process.comm;
    match (row.process.pid, row.process.thread) {
        (Some(pid), Some(thread)) => format!("{name}\n{pid}/{thread}"),
        (Some(pid), None) => format!("{name}\n{pid}"),
        (None, _) => name.clone(),
    }
}

/// An end in a column: its kind above its name.
fn end(end: &End, width: usize) -> String {
    let what = match (end.kind, end.name.as_str()) {
        (kind, "") => kind.to_string(),
        (Kind::File, name) => shortened(name, width),
        (kind, name) => {
            let parts: Vec<_> = name.split(" → ").map(|part| shortened(part, width)).collect();
            format!("{kind}\n{}", parts.join("\n→ "))
        }
    };
    match end.descriptor {
        Some(descriptor) => format!("fd {descriptor}\n{what}"),
        None => what,
    }
}

fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length - width + 1).collect();
    format!("…{end}")
}

fn verdicts(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    for (index, row) in shown(report).iter().enumerate() {
        let number = format!(" {:>2}  ", index + 1);
        let lead = Lead { painted: style.bold(&number), plain: &number };
        paragraph(out, style, lead, &row.verdict.text, str::to_owned)?;
        paragraph(out, style, Lead::plain("     "), &row.verdict.evidence, |text| style.dim(text))?;
    }
    let rest = &report.flows[shown(report).len()..];
    if !rest.is_empty() {
        let bytes = rest.iter().map(|row| row.payload_bytes).sum();
        let noun = if rest.len() == 1 { "flow" } else { "flows" };
        let text = format!(
            "and {} more {noun} with {}, which --format csv or json shows",
            rest.len(),
            words::size(bytes)
        );
        paragraph(out, style, Lead::plain("     "), &text, str::to_owned)?;
    }
    writeln!(out)
}

fn setting(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    for (name, value) in settings(report) {
        named(out, style, name, &value)?;
    }
    Ok(())
}

/// Columns of a command before its end is left out.
const TARGET_WIDTH: usize = 120;

fn in_one_line(target: &str) -> String {
    let line = target.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TARGET_WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What the table does not show, as names and values.
pub(super) fn settings(report: &Report) -> Vec<(&'static str, String)> {
    let (total, environment) = (&report.total, &report.environment);
    let seconds = report.duration_ns as f64 / 1e9;
    let mut settings = vec![
        ("Traced", format!("{}, for {seconds:.2} s", in_one_line(&report.target))),
        (
            "Total",
            format!(
                "{} delivered; {} copied by the CPU, {} by devices, {} passed by reference; {} \
                 system calls, {} mode switches, {} of CPU time in data calls",
                words::size(total.payload_bytes),
                words::size(total.cpu_copied_bytes),
                words::size(total.dma_bytes),
                words::size(total.by_reference_bytes),
                words::grouped(total.syscalls),
                words::grouped(total.mode_switches),
                words::time(total.cpu_time_ns as f64)
            ),
        ),
        ("Kernel", format!("{}, {}", environment.kernel, environment.where_)),
        ("Tier", environment.tier.to_string()),
    ];
    if !environment.cycles {
        let text = "not counted: this machine shows no counter of them";
        settings.push(("Cycles", text.to_owned()));
    }
    if report.unattributed.bytes > 0 {
        let moved = words::size(report.unattributed.bytes);
        let text = format!("{moved} were moved outside of any data call, and are in no flow");
        settings.insert(2, ("Besides", text));
    }
    settings
}
