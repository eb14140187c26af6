//! The strategies' report for people: the answer, a table beside the textbook's numbers, the reasons for
//! differences, and the way of the bytes.

use super::{
    Environment, Measured, MovementRow, Payload, Report, Skipped, StrategyRow, answer::answer,
    drawing, notes::notes, verification,
};
use crate::{
    Provenance, Side,
    claims::{Judgement, Quantity, Verdict},
    report::{
        document::{Cell, Column, Fact, Line, Note, Row, Section, Table, Tone},
        escape::plain,
    },
    words,
};

/// The columns, in the order of [`cells`].
const COLUMNS: [Column; 10] = [
    Column::word("strategy"),
    Column::number("system\ncalls"),
    Column::number("mode\nswitches"),
    Column::number("CPU\ncopies"),
    Column::bar().leaves(3),
    Column::number("DMA\ncopies").leaves(1),
    Column::number("all\ncopies").leaves(2),
    Column::number("page\nfaults").leaves(4),
    Column::number("context\nswitches").leaves(5),
    Column::word("textbook"),
];

/// Columns of the longest bar.
const BAR: f64 = 8.0;

/// The sections, from top to bottom. `details`: also each movement, with what saw it.
pub(super) fn sections(report: &Report, details: bool) -> Vec<Section> {
    let mut sections = before_pictures(report);
    sections.extend([
        Section::Table(strategies(report)),
        Section::Legend(vec![legend(report)]),
        Section::Notes(all_notes(report, details)),
        Section::Facts(drawings(report)),
        Section::Legend(drawings_legend(report)),
        Section::Table(verified(report)),
    ]);
    if details {
        sections.push(Section::Table(movements(report)));
        sections.push(Section::Facts(report.measured().map(counts).collect()));
    }
    sections.push(Section::Facts(setting(&report.environment, &report.payload, details)));
    sections
}

/// The sections before pictures.
pub(in crate::report) fn before_pictures(report: &Report) -> Vec<Section> {
    let warnings = words::lost(report.lost_events)
        .into_iter()
        .chain(report.warnings.iter().map(|it| it.text.clone()));
    vec![Section::Warnings(warnings.collect()), Section::Answer(answer(report))]
}

/// The sections below pictures. `skipped`: strategies without a picture, and the reasons.
pub(in crate::report) fn after_pictures(
    report: &Report,
    legend: Vec<String>,
    skipped: Vec<String>,
) -> Vec<Section> {
    let skipped = skipped.into_iter().map(|text| Note { mark: '·', tone: Tone::Plain, text });
    let notes = skipped.chain(all_notes(report, false));
    vec![
        Section::Legend(legend),
        Section::Notes(notes.collect()),
        Section::Facts(setting(&report.environment, &report.payload, true)),
    ]
}

fn strategies(report: &Report) -> Table {
    let longest = longest_bar(report);
    let mut rows = Vec::new();
    for row in &report.strategies {
        match row {
            StrategyRow::Measured(measured) => {
                rows.push(Row::of(cells(measured, longest)));
                rows.extend(textbook(measured));
            }
            StrategyRow::Skipped(skipped) => rows.push(skipped_row(skipped)),
        }
    }
    Table { columns: COLUMNS.to_vec(), rows, ..Table::default() }
}

fn cells(measured: &Measured, longest: f64) -> Vec<Cell> {
    let number = |quantity| measured.judged(quantity).map_or_else(|| Cell::new(""), numbered);
    vec![
        Cell::new(&measured.name).toned(Tone::Strong),
        number(Quantity::SystemCalls),
        number(Quantity::ModeSwitches),
        number(Quantity::CpuCopies),
        Cell::new(
            measured.judged(Quantity::CpuCopies).map_or_else(String::new, |it| bar(it, longest)),
        ),
        number(Quantity::DmaCopies),
        number(Quantity::AllCopies),
        Cell::new(measured.per_message.faults()),
        Cell::new(measured.switches()),
        beside_textbook(measured),
    ]
}

fn numbered(judgement: &Judgement) -> Cell {
    let text = words::number(judgement).unwrap_or_else(|| words::UNSEEN.to_owned());
    Cell::new(text).toned(judgement.verdict.map_or(Tone::Plain, Tone::from))
}

/// The textbook's numbers, where one of them is another than what was measured.
fn textbook(measured: &Measured) -> Option<Row> {
    let differs = |judged: &Judgement| judged.verdict > Some(Verdict::Confirmed);
    if !measured.quantities.iter().any(differs) {
        return None;
    }
    let number = |quantity| {
        let judged = measured.judged(quantity).filter(|judged| differs(judged));
        Cell::new(judged.and_then(|it| it.documented).map_or_else(String::new, |it| it.to_string()))
    };
    let cells = [
        Cell::new("  textbook"),
        number(Quantity::SystemCalls),
        number(Quantity::ModeSwitches),
        number(Quantity::CpuCopies),
        Cell::new(""),
        number(Quantity::DmaCopies),
        number(Quantity::AllCopies),
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
    ];
    Some(Row::of(cells.map(|cell| cell.toned(Tone::Dim))))
}

/// The comparison with the textbook's numbers, as a mark and a word.
fn beside_textbook(measured: &Measured) -> Cell {
    let Some(worst) = measured.worst(|_| true) else { return Cell::new("") };
    let word = match worst {
        Verdict::Confirmed => "agrees".to_owned(),
        Verdict::Refined | Verdict::Refuted => difference(measured),
        Verdict::NotMeasurable | Verdict::NotTested => words::UNSEEN.to_owned(),
    };
    Cell::new(format!("{} {word}", words::mark(worst))).toned(worst.into())
}

/// `fewer calls`, `more copies`, `fewer calls, copies`
pub(in crate::report) fn difference(measured: &Measured) -> String {
    let how = |quantity| {
        let judged = measured.judged(quantity)?;
        let differs = judged.verdict > Some(Verdict::Confirmed);
        Some(match judged.measured.partial_cmp(&judged.documented) {
            _ if !differs => return None,
            Some(std::cmp::Ordering::Less) => "fewer",
            Some(std::cmp::Ordering::Greater) => "more",
            _ => "other",
        })
    };
    let calls = how(Quantity::SystemCalls).map(|how| (how, "calls"));
    let calls = calls.or(how(Quantity::ModeSwitches).map(|how| (how, "switches")));
    let copies = [Quantity::AllCopies, Quantity::CpuCopies, Quantity::DmaCopies];
    let copies = copies.into_iter().find_map(how).map(|how| (how, "copies"));
    match (calls, copies) {
        (Some((how, what)), Some((same, copies))) if how == same => {
            format!("{how} {what}, {copies}")
        }
        (Some((how, what)), Some((other, copies))) => format!("{how} {what}, {other} {copies}"),
        (Some((how, what)), None) | (None, Some((how, what))) => format!("{how} {what}"),
        (None, None) => String::new(),
    }
}

fn skipped_row(skipped: &Skipped) -> Row {
    let mut cells = vec![Cell::new(&skipped.name).toned(Tone::Strong)];
    cells.extend(COLUMNS.iter().skip(1).map(|_| Cell::new("")));
    let below = vec![Line::new(format!("skipped: {}", skipped.skipped), Tone::Plain)];
    Row { cells, below }
}

fn longest_bar(report: &Report) -> f64 {
    let copies = report.measured().filter_map(|measured| measured.judged(Quantity::CpuCopies));
    copies.flat_map(|judged| [judged.measured, judged.documented]).flatten().fold(1.0, f64::max)
}

/// The copies as a bar, the textbook's number as a tick on it.
fn bar(judgement: &Judgement, longest: f64) -> String {
    let scaled = |copies: f64| copies / longest * BAR;
    let Some(measured) = judgement.measured.map(scaled) else { return String::new() };
    let whole = measured.floor() as usize;
    let mut bar: Vec<char> = std::iter::repeat_n('█', whole).collect();
    if measured - measured.floor() >= 0.5 {
        bar.push('▌');
    }
    if let Some(tick) = judgement.documented.map(|copies| scaled(copies).round() as usize) {
        bar.resize(bar.len().max(tick + 1), ' ');
        bar[tick] = '┃';
    }
    bar.into_iter().collect()
}

/// The meanings of the columns.
fn legend(report: &Report) -> String {
    let mut parts = vec!["Calls, switches and faults per message, copies per payload byte"];
    if report.measured().any(Measured::is_documented) {
        parts.push("┃ the textbook's number");
    }
    let is_derived = |judged: &Judgement| judged.provenance == Provenance::Derived;
    if report.measured().flat_map(|measured| &measured.quantities).any(is_derived) {
        parts.push("~ derived, not measured");
    }
    parts.join("; ")
}

fn all_notes(report: &Report, details: bool) -> Vec<Note> {
    let notes = notes(report, details).into_iter().map(|note| Note {
        mark: words::mark(note.verdict),
        tone: note.verdict.into(),
        text: note.text(),
    });
    let said = report.measured().filter_map(said_by_kernel);
    notes.chain(said).collect()
}

/// The kernel's notifications of the program's zero-copy sends.
fn said_by_kernel(measured: &Measured) -> Option<Note> {
    let said = measured.zero_copy?;
    let copied = match said.copied {
        Some(copied) => format!("that it copied {copied} of them"),
        None => "not how many of them it copied".to_owned(),
    };
    let text = format!(
        "{}: the kernel told the program of {} zero-copy sends, and {copied}",
        measured.name, said.notifications
    );
    Some(Note { mark: '·', tone: Tone::Plain, text })
}

/// Of a payload byte: what the other side moved less of is no payload, such as its answer.
const PAYLOAD: f64 = 0.01;

fn drawings(report: &Report) -> Vec<Fact> {
    let drawn = report.measured().map(|measured| {
        Fact::new(&measured.name, drawing::drawing(measured.movements_of(measured.side)))
    });
    drawn.filter(|fact| !fact.text.is_empty()).collect()
}

fn drawings_legend(report: &Report) -> Vec<String> {
    let drawn = report.measured().flat_map(|measured| measured.movements_of(measured.side));
    drawing::legend(drawn).into_iter().collect()
}

/// The breakpoints' bytes beside the probes' bytes.
fn verified(report: &Report) -> Table {
    let [strategy, copy, probes, breakpoints, difference] = verification::HEADINGS;
    let columns = [
        Column::word(strategy),
        Column::name(copy, 20),
        Column::number(probes).leaves(1),
        Column::number(breakpoints).leaves(1),
        Column::number(difference),
    ];
    let rows = verification::checks(report).into_iter().map(|row| Row::of(row.map(Cell::new)));
    Table {
        title: Some("Checked with hardware breakpoints"),
        columns: columns.to_vec(),
        rows: rows.collect(),
    }
}

/// Each movement, with what saw it.
fn movements(report: &Report) -> Table {
    let columns = [
        Column::word("strategy"),
        Column::name("movement", 24),
        Column::word("by"),
        Column::number("per\nbyte"),
        Column::number("bytes").leaves(1),
        Column::name("seen by", 16).leaves(2),
    ];
    let rows = report.measured().flat_map(|measured| {
        let is_own = |movement: &&MovementRow| {
            movement.side == measured.side || movement.per_payload_byte >= PAYLOAD
        };
        let shown = measured.movements.iter().filter(is_own).enumerate();
        shown.map(|(index, movement)| movement_row(measured, index, movement))
    });
    Table { title: Some("Each movement"), columns: columns.to_vec(), rows: rows.collect() }
}

fn movement_row(measured: &Measured, index: usize, movement: &MovementRow) -> Row {
    let name = if index == 0 { measured.name.as_str() } else { "" };
    let whose = match (movement.side == measured.side, movement.side) {
        (true, _) => "",
        (false, Side::Sender) => " (sender)",
        (false, Side::Receiver) => " (receiver)",
    };
    let derived = match movement.provenance {
        Provenance::Derived => "derived from ",
        Provenance::Measured => "",
    };
    Row::of([
        Cell::new(name).toned(Tone::Strong),
        Cell::way(movement.from.to_string(), format!("{}{whose}", movement.to)),
        Cell::new(movement.by.to_string()),
        Cell::new(words::copies(movement.per_payload_byte)),
        Cell::new(words::grouped(movement.bytes)),
        Cell::new(format!("{derived}{}", words::witnesses(&movement.witness))),
    ])
}

/// The calls by name, and what else was counted.
fn counts(measured: &Measured) -> Fact {
    let calls = measured.syscalls.iter().map(|(name, made)| format!("{made} × {name}()"));
    let mut parts = vec![words::joined(calls.collect())];
    let counts = &measured.per_message;
    if counts.context_switches() > 0.0 {
        parts.push(format!(
            "{} context switches per message, {} of them voluntary",
            words::rough(counts.context_switches()),
            words::rough(counts.context_switches_voluntary)
        ));
    }
    if measured.nic_retransmitted_bytes > 0 {
        let size = words::size(measured.nic_retransmitted_bytes);
        parts.push(format!("{size} went to the NIC again, and are not counted"));
    }
    parts.retain(|part| !part.is_empty());
    Fact::new(&measured.name, parts.join("; "))
}

/// The payload, and the environment of the measurement.
pub(in crate::report) fn setting(
    environment: &Environment,
    sent: &Payload,
    details: bool,
) -> Vec<Fact> {
    let gather = if environment.scatter_gather { "on" } else { "off" };
    let more = if details { "" } else { "; --verbose shows each movement" };
    let sent = format!(
        "{}, {} page cache: {} → {}, scatter-gather {gather}",
        sent,
        environment.cache.name(),
        plain(&environment.disk),
        plain(&environment.nic),
    );
    let Environment { kernel, where_, tier, .. } = environment;
    vec![
        Fact::new("Sent", sent),
        Fact::new("Measured", format!("Linux {} {where_}, by {tier}{more}", plain(kernel))),
    ]
}
