//! The report on a program for people: the answer, a row for each flow with its verdict, and the stacks
//! of copies.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    End, FlowRow, JvmRow, Owner, Report, StackRow,
    answer::answer,
    folded::frames,
    words::{end_name, percent},
};
use crate::{
    Provenance,
    claims::Verdict,
    flows::{Kind, stacks::Frame},
    report::{
        Origin,
        document::{Cell, Column, Fact, Key, Line, Note, Row, Section, Table, Tone},
        html::{Flames, MEASURED, Page, Part},
    },
    words,
};

/// The columns, in the order of [`cells`].
const COLUMNS: [Column; 11] = [
    Column::number("share"),
    Column::number("payload"),
    Column::number("CPU\ncopies"),
    Column::number("DMA\ncopies").leaves(2),
    BY_REFERENCE,
    Column::number("switches\nper MiB").leaves(4),
    Column::number("time\nper MiB").leaves(3),
    Column::number("cycles\nper byte").leaves(5),
    Column::name("program", 9),
    Column::word("pid"),
    Column::name("flow", 36),
];

const BY_REFERENCE: Column = Column::number("by\nref.").leaves(1);

/// What is counted for a MiB of payload, or copied besides, is not told of payload below this, in bytes: it
/// would be blown up.
const TINY: u64 = 1 << 16;

/// The sections, from top to bottom, with these flows. `details`: also the numbers that a verdict stands
/// on, and the sums.
pub(super) fn sections(report: &Report, flows: &[FlowRow], details: bool) -> Vec<Section> {
    let mut sections = flow_sections(report, flows, details);
    sections.extend([
        Section::Table(stacks(report)),
        Section::Legend(more_stacks(report)),
        Section::Facts(facts(report, details)),
    ]);
    sections
}

/// What a page shows.
pub(super) fn page(report: &Report) -> Page {
    let flows = flow_sections(report, &report.shown, true);
    let mut parts: Vec<Part> = flows.into_iter().map(Part::from).collect();
    let reasons = reasons(report);
    if !reasons.is_empty() {
        parts.extend([Part::Heading("Not seen to move"), Section::Notes(reasons).into()]);
    }
    let stacks = stacks(report);
    if let Some(title) = stacks.title.filter(|_| !stacks.rows.is_empty()) {
        parts.push(Part::Heading(title));
        parts.extend(flames(report).map(Part::Flames));
        parts.push(Section::Table(Table { title: None, ..stacks }).into());
        parts.push(Section::Legend(more_stacks(report)).into());
    }
    let made = facts(report, true).into_iter();
    let made = made.chain(report.origin.iter().flat_map(Origin::facts));
    parts.extend([Part::Heading(MEASURED), Section::Facts(made.collect()).into()]);
    Page { title: in_one_line(&report.target), parts }
}

fn flow_sections(report: &Report, flows: &[FlowRow], details: bool) -> Vec<Section> {
    let warnings = words::lost(report.lost_events)
        .into_iter()
        .chain(report.warnings.iter().map(|it| it.text.clone()));
    vec![
        Section::Warnings(warnings.collect()),
        Section::Answer(vec![answer(report)]),
        Section::Table(rows(report, flows, details)),
        Section::Legend(rest(report, flows).into_iter().collect()),
        Section::Table(inside_jvms(report)),
    ]
}

fn rows(report: &Report, flows: &[FlowRow], details: bool) -> Table {
    let owners: BTreeSet<_> = flows.iter().map(|row| owner(&row.process)).collect();
    let owner = |row: &FlowRow| match owners.len() {
        0 | 1 => Default::default(),
        _ => owner(&row.process),
    };
    let row =
        |row: &FlowRow| Row { cells: cells(report, row, owner(row)), below: below(row, details) };
    let rows = flows.iter().map(row).collect();
    Table { columns: COLUMNS.to_vec(), rows, legend: legend(flows), ..Table::default() }
}

fn cells(report: &Report, row: &FlowRow, (program, pid): (String, String)) -> Vec<Cell> {
    let derived = if row.provenance == Provenance::Derived { "~" } else { "" };
    let marked = |ratio: Option<f64>| match ratio {
        Some(copies) => Cell::new(format!("{derived}{}", words::copies(copies))),
        None => unseen(),
    };
    let a_mib =
        |text: String| Cell::new(if row.payload_bytes < TINY { String::new() } else { text });
    let time = match report.environment.emulated {
        true => String::new(),
        false => words::time(row.cpu_time_a_mib()),
    };
    vec![
        Cell::new(percent(row.payload_bytes, report.total.payload_bytes)),
        Cell::new(words::size(row.payload_bytes)),
        marked(row.copies_per_byte.cpu),
        row.copies_per_byte.dma.map_or_else(unseen, |copies| {
            Cell::new(words::copies((copies - row.read_ahead_per_byte).max(0.0)))
        }),
        marked(row.by_reference_per_byte),
        a_mib(words::grouped(row.mode_switches_per_mib.round() as u64)),
        a_mib(time),
        Cell::new(row.cost.cycles_per_copied_byte.map_or_else(String::new, words::rough)),
        Cell::new(program),
        Cell::new(pid),
        Cell::way(end(&row.source), end(&row.destination)),
    ]
}

fn unseen() -> Cell {
    Cell::new(words::UNSEEN).toned(Tone::Open)
}

/// The program, and which of its processes and threads if the report tells them apart.
fn owner(process: &Owner) -> (String, String) {
    let pid = match (process.pid, process.thread) {
        (Some(pid), Some(thread)) => format!("{pid}/{thread}"),
        (Some(pid), None) => pid.to_string(),
        (None, _) => String::new(),
    };
    (process.comm.clone(), pid)
}

/// An end of a flow: `/srv/www/big`, `1 500 files below /srv/www`, `tcp port 80`.
fn end(end: &End) -> String {
    let what = match end.files {
        Some(count) => files(count, &end.name),
        None => end_name(end.kind, &end.name),
    };
    match end.descriptor {
        Some(descriptor) => format!("fd {descriptor} {what}"),
        None => what,
    }
}

fn files(count: u64, folder: &str) -> String {
    let count = words::grouped(count);
    if folder.is_empty() {
        format!("{count} files")
    } else {
        format!("{count} files below {folder}")
    }
}

/// The lines below a flow's row.
fn below(row: &FlowRow, details: bool) -> Vec<Line> {
    let mut lines = vec![Line::new(&row.verdict.text, Tone::Plain)];
    if details {
        lines.push(Line::new(&row.verdict.evidence, Tone::Dim));
    }
    lines.extend(row.notes.iter().map(|note| Line::new(&note.text, Tone::Plain)));
    if row.flows > 1 {
        let text = format!("{} flows in one row", words::grouped(row.flows));
        lines.push(Line::new(text, Tone::Dim));
    }
    lines
}

/// What the columns mean.
fn legend(flows: &[FlowRow]) -> Vec<Key> {
    let mut keys = vec![
        Key::new("Copies per payload byte"),
        Key::of(BY_REFERENCE, "ref.: passed by reference, not copied"),
    ];
    if flows.iter().any(|row| row.provenance == Provenance::Derived) {
        keys.push(Key::new("~ derived, not measured"));
    }
    keys
}

/// `8 other flows (25 KiB) are not shown; --top 0 shows all 24`
fn rest(report: &Report, flows: &[FlowRow]) -> Option<String> {
    if flows.is_empty() || flows.len() == report.flows.len() {
        return None;
    }
    let all = format!("--top 0 shows all {}", words::grouped(report.flows.len() as u64));
    let (mut left, mut bytes) = (0, 0);
    for row in &report.left_out {
        left += row.flows;
        bytes += row.payload_bytes;
    }
    let (count, size) = (words::grouped(left), words::size(bytes));
    Some(match left {
        0 => format!("{all} flows"),
        1 => format!("1 other flow ({size}) is not shown; {all}"),
        _ => format!("{count} other flows ({size}) are not shown; {all}"),
    })
}

/// What Java virtual machines copied in their own memory.
fn inside_jvms(report: &Report) -> Table {
    let row = |row: &JvmRow| {
        let (program, pid) = owner(&row.process);
        let copies = row.copies_per_byte.filter(|_| row.payload_bytes >= TINY);
        let copies = copies.map_or_else(String::new, words::copies);
        let cells = [words::size(row.bytes), copies, words::grouped(row.calls), program, pid];
        Row::of(cells.into_iter().map(Cell::new))
    };
    Table {
        title: Some("Copied by Java virtual machines in their own memory"),
        columns: vec![
            Column::number("copied"),
            Column::number("CPU\ncopies"),
            Column::number("times"),
            Column::name("program", 9),
            Column::word("pid"),
        ],
        rows: report.jvm_copies.iter().map(row).collect(),
        ..Table::default()
    }
}

/// Payload of all flows that no witness saw move, with the reasons, the most first.
fn reasons(report: &Report) -> Vec<Note> {
    let mut bytes = BTreeMap::<(Kind, Kind, &str), u64>::new();
    for row in &report.flows {
        for part in &row.unseen {
            let why = (row.source.kind, row.destination.kind, part.reason.text.as_str());
            let bytes = bytes.entry(why).or_default();
            *bytes = bytes.saturating_add(part.bytes);
        }
    }
    let mut bytes: Vec<_> = bytes.into_iter().collect();
    bytes.sort_by_key(|(_, bytes)| Reverse(*bytes));
    let note = |((from, to, why), bytes): ((Kind, Kind, &str), u64)| Note {
        mark: words::mark(Verdict::NotMeasurable),
        tone: Tone::Open,
        text: format!("{}, {from} → {to}: {why}", words::size(bytes)),
    };
    bytes.into_iter().map(note).collect()
}

/// Stacks that are shown.
const MOST: usize = 5;
/// Functions of the kernel that are shown of each.
const KERNEL_FRAMES: usize = 7;
/// Functions of the program.
const USER_FRAMES: usize = 4;

/// The stacks with the most bytes.
fn stacks(report: &Report) -> Table {
    let stacks = report.stacks.as_deref().unwrap_or_default();
    let all: u64 = stacks.iter().map(|row| row.bytes).sum();
    let row = |row: &StackRow| Row {
        cells: vec![
            Cell::new(percent(row.bytes, all)).toned(Tone::Strong),
            Cell::new(headline(row)),
        ],
        below: vec![Line::new(path(row), Tone::Dim)],
    };
    let shown = stacks.iter().filter(|row| row.bytes > 0).take(MOST);
    Table {
        title: Some("Who copies"),
        columns: vec![Column::number("share"), Column::name("copy", 30)],
        rows: shown.map(row).collect(),
        ..Table::default()
    }
}

fn flames(report: &Report) -> Option<Flames> {
    Flames::of(report.stacks.iter().flatten().map(|row| (frames(row), row.bytes)))
}

fn more_stacks(report: &Report) -> Vec<String> {
    let more = report.stacks.as_ref().map_or(0, Vec::len).saturating_sub(MOST);
    let text = format!("and {more} more stacks, which --format folded, pprof or json shows");
    if more > 0 { vec![text] } else { Vec::new() }
}

fn headline(row: &StackRow) -> String {
    let mark = if row.provenance == Provenance::Derived { "~" } else { "" };
    let by = match row.routine.as_str() {
        "" => String::new(),
        routine => format!(" by {routine}"),
    };
    let (size, from, to) = (words::size(row.bytes), row.from, row.to);
    format!("{mark}{size}, {from} → {to}{by}, {}", row.process.comm)
}

/// From the innermost function outwards.
fn path(row: &StackRow) -> String {
    if row.kernel.is_empty() && row.user.is_empty() {
        return "no stack was seen".to_owned();
    }
    let kernel = row.kernel.iter().take_while(|frame| !is_entry(frame)).take(KERNEL_FRAMES);
    let user = row.user.iter().take(USER_FRAMES);
    let names: Vec<&str> = kernel.chain(user).map(|frame| frame.function.as_str()).collect();
    names.join(" ← ")
}

/// The way of every system call into the kernel.
fn is_entry(frame: &Frame) -> bool {
    ["x64_sys_call", "do_syscall_64", "entry_SYSCALL_64"]
        .iter()
        .any(|name| frame.function.starts_with(name))
}

/// Characters of a command before its end is left out.
const TARGET: usize = 120;

fn in_one_line(target: &str) -> String {
    let line = target.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TARGET) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Facts that the table does not show, as names and values.
fn facts(report: &Report, details: bool) -> Vec<Fact> {
    let environment = &report.environment;
    let where_ =
        format!("Linux {} {}, by {}", environment.kernel, environment.where_, environment.tier);
    let mut facts =
        vec![Fact::new("Traced", in_one_line(&report.target)), Fact::new("Measured", where_)];
    if report.unattributed.bytes > 0 {
        let text = format!(
            "{} were moved outside of any data call, such as by a page fault on a mapped file, and \
             are in no flow",
            words::size(report.unattributed.bytes)
        );
        facts.push(Fact::new("Besides", text));
    }
    facts.extend(verified(report).map(|text| Fact::new("Verified", text)));
    if details {
        facts.push(Fact::new("Total", total(report)));
        if !environment.cycles {
            facts.push(Fact::new("Cycles", "not counted: this machine shows no counter of them"));
        }
    }
    facts
}

fn total(report: &Report) -> String {
    let total = &report.total;
    let unseen = match total.unseen_bytes {
        0 => String::new(),
        bytes => format!(", {} of it not seen to move", words::size(bytes)),
    };
    format!(
        "{} delivered{unseen}; {} copied by the CPU, {} by devices, {} passed by reference; {} system \
         calls, {} mode switches, {} of CPU time in data calls",
        words::size(total.payload_bytes),
        words::size(total.cpu_copied_bytes),
        words::size(total.dma_bytes),
        words::size(total.by_reference_bytes),
        words::grouped(total.syscalls),
        words::grouped(total.mode_switches),
        words::time(total.cpu_time_ns as f64)
    )
}

/// The verification by hardware breakpoints, if there was one.
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
