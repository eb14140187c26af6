//! The table for a terminal, and below it each flow's verdict.

use std::io;

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table};

use super::{End, FlowRow, Ratios, Report, names, stack_table};
use crate::{
    flows::Kind,
    ledger::Provenance,
    report::{
        Style,
        table::{Lead, bold, empty, named, paragraph, trimmed, warnings},
        words,
        wrap::columns,
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
    "by\nref.",
    "switches\na MiB",
    "time\na MiB",
];

/// A column that is there only if cycles are counted.
const CYCLES: &str = "cycles\na byte";

/// Where the two columns of names begin, counted from 0, and where they end.
const NAMES: std::ops::Range<usize> = 2..4;

const UNITS: &str = "Copies and references (ref.: its page changed hands) a payload byte; mode \
                     switches, and CPU time in the calls, a MiB of payload";

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

fn rows(report: &Report, style: &Style) -> Table {
    let cycles = report.environment.cycles;
    let headings: Vec<&str> = HEADINGS.into_iter().chain(cycles.then_some(CYCLES)).collect();
    let rows = report.shown.iter().enumerate().map(|(index, row)| texts(index, row, cycles));
    let rows: Vec<_> = rows.collect();
    let room = room_for_names(&headings, &rows, style);
    let mut table = empty(style);
    table.set_header(headings.into_iter().map(|heading| bold(Cell::new(heading))));
    for row in rows {
        let cells = row.into_iter().enumerate().map(|(column, text)| match column {
            1 => bold(Cell::new(names::program(&text))),
            column if NAMES.contains(&column) => {
                Cell::new(names::fitted(&text, room[column - NAMES.start]))
            }
            _ => Cell::new(text),
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((1, space_after(style)));
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What is in a row, names as long as they are.
fn texts(index: usize, row: &FlowRow, cycles: bool) -> Vec<String> {
    let mark = |ratio: Option<f64>| match (ratio, row.provenance) {
        (Some(_), Provenance::Derived) => "~",
        _ => "",
    };
    let Ratios { cpu, dma } = row.copies_per_byte;
    let by_reference = row.by_reference_per_byte;
    let mut texts = vec![
        (index + 1).to_string(),
        owner(row),
        end(&row.source),
        end(&row.destination),
        words::size(row.payload_bytes),
        format!("{}{}", mark(cpu), copies(cpu)),
        copies(dma),
        format!("{}{}", mark(by_reference), copies(by_reference)),
        words::grouped(row.mode_switches_per_mib.round() as u64),
        words::time(row.cpu_time_a_mib()),
    ];
    if cycles {
        texts.push(row.cost.cycles_per_copied_byte.map_or_else(String::new, words::rough));
    }
    texts
}

/// A ratio, or that it was not seen.
pub(super) fn copies(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| UNSEEN.to_owned(), words::copies)
}

const UNSEEN: &str = "unseen";

/// Spaces after a column, besides the one before each: a narrow terminal has none to spare.
fn space_after(style: &Style) -> u16 {
    const ROOMY: u16 = 96;
    u16::from(style.width >= ROOMY)
}

/// What the other columns leave to each of the two columns of names: half of it, and what the other
/// one does not need.
fn room_for_names(headings: &[&str], rows: &[Vec<String>], style: &Style) -> [usize; 2] {
    let width = |column: usize| {
        let texts = rows.iter().map(|row| row[column].as_str()).chain([headings[column]]);
        texts.flat_map(str::lines).map(columns).max().unwrap_or_default()
    };
    let others = (0..headings.len()).filter(|column| !NAMES.contains(column)).map(width);
    let taken = others.sum::<usize>() + headings.len() * usize::from(1 + space_after(style));
    let room = usize::from(style.width).saturating_sub(taken);
    let [from, to] = [width(NAMES.start), width(NAMES.start + 1)];
    [to, from].map(|other| room.saturating_sub(other).max(room / 2))
}

pub(super) fn owner(row: &FlowRow) -> String {
    let name = &row.process.comm;
    match (row.process.pid, row.process.thread) {
        (Some(pid), Some(thread)) => format!("{name}\n{pid}/{thread}"),
        (Some(pid), None) => format!("{name}\n{pid}"),
        (None, _) => name.clone(),
    }
}

/// `1 500 files` above `below /srv/www`
fn files(count: u64, folder: &str) -> String {
    let count = words::grouped(count);
    if folder.is_empty() {
        format!("{count} files")
    } else {
        format!("{count} files\nbelow {folder}")
    }
}

/// An end in a column: its kind above its name.
fn end(end: &End) -> String {
    let what = match (end.kind, end.name.as_str(), end.files) {
        (_, folder, Some(count)) => files(count, folder),
        (kind, "", _) => kind.to_string(),
        (Kind::File | Kind::Other, name, _) => name.to_owned(),
        // `pipe:[4711]`
        (kind, name, _) if name.starts_with(&kind.to_string()) => name.to_owned(),
        (kind, name, _) => format!("{kind}\n{}", name.replacen(" → ", "\n→ ", 1)),
    };
    match end.descriptor {
        Some(descriptor) => format!("fd {descriptor}\n{what}"),
        None => what,
    }
}

fn verdicts(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let below = || Lead::plain("     ");
    for (index, row) in report.shown.iter().enumerate() {
        let number = format!(" {:>2}  ", index + 1);
        let lead = Lead { painted: style.bold(&number), plain: &number };
        paragraph(out, style, lead, &row.verdict.text, str::to_owned)?;
        paragraph(out, style, below(), &row.verdict.evidence, |text| style.dim(text))?;
        for note in &row.notes {
            paragraph(out, style, below(), &note.text, str::to_owned)?;
        }
        if row.flows > 1 {
            let text = format!("{} flows in one row; {EACH}", words::grouped(row.flows));
            paragraph(out, style, below(), &text, |text| style.dim(text))?;
        }
    }
    if !report.left_out.is_empty() {
        let text = format!("{}; {EACH}", summary(&report.left_out));
        paragraph(out, style, below(), &text, str::to_owned)?;
    }
    writeln!(out)
}

/// Where all flows are.
const EACH: &str = "--format csv or json shows each";

/// `and 8 smaller flows: 7 file → memory (5 KiB), 1 memory → file (90 B)`
fn summary(rows: &[FlowRow]) -> String {
    let mut kinds = BTreeMap::<(Kind, Kind), (u64, u64)>::new();
    for row in rows {
        let (count, bytes) = kinds.entry((row.source.kind, row.destination.kind)).or_default();
        *count += row.flows;
        *bytes += row.payload_bytes;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let kinds = kinds.into_iter().map(|((from, to), (count, bytes))| {
        format!("{count} {from} → {to} ({})", words::size(bytes))
    });
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let flows: u64 = rows.iter().map(|row| row.flows).sum();
    let noun = if flows == 1 { "flow" } else { "flows" };
    format!("and {flows} smaller {noun}: {kinds}")
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
                "{} delivered{}; {} copied by the CPU, {} by devices, {} passed by reference; {} \
                 system calls, {} mode switches, {} of CPU time in data calls",
                words::size(total.payload_bytes),
                unseen(total.unseen_bytes),
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
        let text = format!(
            "{moved} were moved outside of any data call, such as by a page fault on a mapped \
             file, and are in no flow"
        );
        settings.insert(2, ("Besides", text));
    }
    settings.extend(verified(report).map(|text| ("Verified", text)));
    settings
}

/// That so much of the payload was not seen to move.
fn unseen(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!(", {} of it not seen to move", words::size(bytes)),
    }
}

/// What hardware breakpoints saw of the copies, if they were asked.
fn verified(report: &Report) -> Option<String> {
    let movements = report.flows.iter().flat_map(|flow| &flow.movements);
    let pairs = movements.filter_map(|movement| Some((movement.bytes, movement.verified_bytes?)));
    let (seen, verified) = pairs.reduce(|sum, pair| (sum.0 + pair.0, sum.1 + pair.1))?;
    Some(if seen == verified {
        format!(
            "{} of copies were seen by hardware breakpoints, too, to the byte",
            words::size(seen)
        )
    } else {
        let (verified_size, seen_size) = (words::size(verified), words::size(seen));
        let saw =
            format!("hardware breakpoints saw {verified_size} of copies, call sites {seen_size}");
        match verified {
            0 => saw,
            _ => format!("{saw}: {:+.3} %", (seen as f64 / verified as f64 - 1.0) * 100.0),
        }
    })
}
