//! The strategies' report for people: the answer, a table beside the textbook's numbers, the reasons for
//! differences, and the way of the bytes.

use super::{
    Measured, MovementRow, Report, Skipped, StrategyRow, answer::answer, drawing, notes::notes,
    setting::setting, verification,
};
use crate::{
    Provenance, Side, Speed, Spread,
    claims::{Judgement, Quantity, Verdict},
    report::{
        Origin,
        diagram::{self, Figures},
        document::{Bar, Cell, Column, Fact, Key, Line, Note, Row, Section, Table, Tone},
        html::{MEASURED, Page, Part},
    },
    words,
};

/// The columns, in the order of [`cells`]. Those of times leave before those of copies.
const COLUMNS: [Column; 14] = [
    Column::word("strategy"),
    Column::number("system\ncalls"),
    Column::number("mode\nswitches"),
    Column::number("CPU\ncopies"),
    BAR,
    Column::number("DMA\ncopies").leaves(1),
    Column::number("all\ncopies").leaves(2),
    CPU_TIME,
    Column::number("\nmin–max").leaves(8),
    THROUGHPUT,
    Column::number("\nmin–max").leaves(9),
    Column::number("page\nfaults").leaves(6),
    Column::number("context\nswitches").leaves(7),
    Column::word("textbook"),
];

/// The CPU copies, drawn.
const BAR: Column = Column::bar().leaves(4);
/// Of the measured process, without probes.
const CPU_TIME: Column = Column::number("CPU time\nper MiB").leaves(3);
/// Until everything has arrived, without probes.
const THROUGHPUT: Column = Column::number("MB/s\nmedian").leaves(5);

/// The sections, from top to bottom. `details`: also each movement, with what saw it.
pub(super) fn sections(report: &Report, details: bool) -> Vec<Section> {
    let mut sections = before_pictures(report);
    sections.extend([
        Section::Table(strategies(report)),
        Section::Notes(all_notes(report, details)),
        Section::Facts(drawings(report)),
        Section::Legend(drawings_legend(report)),
        Section::Table(verified(report)),
    ]);
    if details {
        sections.push(Section::Table(movements(report)));
        sections.push(Section::Facts(report.measured().map(counts).collect()));
    }
    let mut facts = setting(&report.environment, &report.payload, details);
    facts.extend(timed(report));
    sections.push(Section::Facts(facts));
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

/// What a page shows: the pictures first.
pub(in crate::report) fn page(report: &Report) -> Page {
    let mut parts: Vec<Part> = before_pictures(report).into_iter().map(Part::from).collect();
    let made = setting(&report.environment, &report.payload, true).into_iter();
    let made = made.chain(timed(report)).chain(report.origin.iter().flat_map(Origin::facts));
    parts.extend([
        Part::Figures(Figures::of(report)),
        Part::Heading("The numbers beside the textbook's"),
        Section::Table(strategies(report)).into(),
        Section::Notes(all_notes(report, false)).into(),
        Section::Table(verified(report)).into(),
        Part::Heading(MEASURED),
        Section::Facts(made.collect()).into(),
        Section::Table(movements(report)).into(),
        Section::Facts(report.measured().map(counts).collect()).into(),
    ]);
    Page { title: diagram::title(report), parts }
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
    Table { columns: COLUMNS.to_vec(), rows, legend: legend(report), ..Table::default() }
}

fn cells(measured: &Measured, longest: f64) -> Vec<Cell> {
    let number = |quantity| measured.judged(quantity).map_or_else(|| Cell::new(""), numbered);
    let [cpu_time, cpu_times, throughput, throughputs] =
        measured.speed.map_or_else(Default::default, times);
    vec![
        Cell::new(&measured.name).toned(Tone::Strong),
        number(Quantity::SystemCalls),
        number(Quantity::ModeSwitches),
        number(Quantity::CpuCopies),
        measured
            .judged(Quantity::CpuCopies)
            .map_or_else(|| Cell::new(""), |judged| bar(judged, longest)),
        number(Quantity::DmaCopies),
        number(Quantity::AllCopies),
        Cell::new(cpu_time),
        Cell::new(cpu_times),
        Cell::new(throughput),
        Cell::new(throughputs),
        Cell::new(measured.per_message.faults()),
        Cell::new(measured.switches()),
        compared(measured),
    ]
}

/// CPU time and throughput, each as median and range.
fn times(speed: Speed) -> [String; 4] {
    let Spread { median, min, max } = speed.cpu_ns_per_mib();
    let rate = speed.bytes_per_second.scaled(1e-6);
    [
        words::time(median),
        range(words::time(min), words::time(max)),
        format!("{:.0}", rate.median),
        format!("{:.0}–{:.0}", rate.min, rate.max),
    ]
}

/// `97.3–154 µs`, `0.98–1.02 ms`; `998 µs–1.02 ms`
fn range(least: String, most: String) -> String {
    let same = least.split_once(' ').filter(|(_, unit)| most.ends_with(&format!(" {unit}")));
    let least = same.map_or(least.as_str(), |(number, _)| number);
    format!("{least}–{most}")
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
    let mut cells = vec![
        Cell::new("  textbook"),
        number(Quantity::SystemCalls),
        number(Quantity::ModeSwitches),
        number(Quantity::CpuCopies),
        Cell::new(""),
        number(Quantity::DmaCopies),
        number(Quantity::AllCopies),
    ];
    cells.resize(COLUMNS.len() - 1, Cell::new(""));
    let [_, second] = beside_textbook(measured);
    cells.push(Cell::new(second.map_or_else(String::new, |second| format!("  {second}"))));
    Some(Row::of(cells.into_iter().map(|cell| cell.toned(Tone::Dim))))
}

/// How the numbers stand beside the textbook's, in a mark and a word. A second difference is in the row
/// below: the column stays narrow.
fn compared(measured: &Measured) -> Cell {
    let Some(worst) = measured.worst(|_| true) else { return Cell::new("") };
    let word = beside_textbook(measured)[0].clone().unwrap_or_default();
    Cell::new(format!("{} {word}", words::mark(worst))).toned(worst.into())
}

fn beside_textbook(measured: &Measured) -> [Option<String>; 2] {
    match measured.worst(|_| true) {
        None => [None, None],
        Some(Verdict::Confirmed) => [Some("agrees".to_owned()), None],
        Some(Verdict::Refined | Verdict::Refuted) => measured.differences(),
        Some(Verdict::NotMeasurable | Verdict::NotTested) => [Some(words::UNSEEN.to_owned()), None],
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

fn bar(judgement: &Judgement, longest: f64) -> Cell {
    let documented = judgement.documented;
    let bar = |measured| Cell::bar(Bar { measured, documented, longest });
    judgement.measured.map_or_else(|| Cell::new(""), bar)
}

/// What the columns mean.
fn legend(report: &Report) -> Vec<Key> {
    let mut keys =
        vec![Key::new("Calls, switches and faults per message, copies per payload byte")];
    if report.measured().any(Measured::is_documented) {
        keys.push(Key::of(BAR, "┃ the textbook's number"));
    }
    let is_derived = |judged: &Judgement| judged.provenance == Provenance::Derived;
    if report.measured().flat_map(|measured| &measured.quantities).any(is_derived) {
        keys.push(Key::new("~ derived, not measured"));
    }
    if report.measured().any(|measured| measured.speed.is_some()) {
        keys.push(Key::of(CPU_TIME, "CPU time of the measured process"));
        keys.push(Key::of(THROUGHPUT, "MB/s until all has arrived"));
    }
    keys
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
        ..Table::default()
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
    let title = Some("Each movement");
    Table { title, columns: columns.to_vec(), rows: rows.collect(), ..Table::default() }
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

/// What times are of.
fn timed(report: &Report) -> Option<Fact> {
    let rounds = report.measured().filter_map(|it| Some(it.speed?.rounds)).max()?;
    let rounds = match rounds {
        1 => "1 round without probes".to_owned(),
        more => format!("{more} rounds without probes, by the median"),
    };
    let load = report.environment.load;
    let load = load.map_or_else(String::new, |load| format!("; load before {load:.2}"));
    Some(Fact::new("Timed", format!("in {rounds}{load}")))
}
