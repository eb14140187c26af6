//! The brokers' report for people: speed, counts, features, and the verdicts on the claims.

use super::{BrokerReport, words};
use crate::{
    report::{
        Origin,
        document::{Cell, Column, Fact, Note, Row, Section, Table},
        html::{MEASURED, Page, Part},
    },
    words as all,
};

/// The columns of the table of speed, in the order of [`words::speed`].
const SPEED: [Column; 9] = [
    Column::word("message"),
    Column::word("cache"),
    Column::word("con-\nsumers"),
    Column::word("flavour"),
    Column::number("MB/s\nmedian"),
    Column::number("\nmin–max").leaves(2),
    Column::number("messages/s\nmedian"),
    Column::number("CPU s/GB\nmedian"),
    Column::number("\nmin–max").leaves(1),
];

/// The columns of the table of counts, in the order of [`words::counts`].
const COUNTS: [Column; 10] = [
    Column::word("message"),
    Column::word("cache"),
    Column::word("con-\nsumers"),
    Column::word("flavour"),
    Column::number("system\ncalls"),
    Column::number("mode\nswitches"),
    Column::number("page\nfaults").leaves(2),
    Column::number("context\nswitches").leaves(3),
    Column::number("CPU\ncopies"),
    Column::number("DMA\ncopies").leaves(1),
];

/// The columns of the table of the programs' speed, in the order of [`words::program_speed`].
const PROGRAM_SPEED: [Column; 8] = [
    Column::word("message"),
    Column::word("program"),
    Column::word("setting"),
    Column::number("MB/s\nmedian"),
    Column::number("\nmin–max").leaves(2),
    Column::number("messages/s\nmedian"),
    Column::number("CPU s/GB\nmedian"),
    Column::number("\nmin–max").leaves(1),
];

/// The columns of the table of their counts, in the order of [`words::program_counts`].
const PROGRAM_COUNTS: [Column; 11] = [
    Column::word("message"),
    Column::word("program"),
    Column::word("setting"),
    Column::number("system\ncalls"),
    Column::number("a MiB").leaves(3),
    Column::number("mode\nswitches"),
    Column::number("a MiB").leaves(2),
    Column::number("CPU\ncopies"),
    Column::number("in the\nJVM"),
    Column::number("by refe-\nrence").leaves(1),
    Column::number("sent\ntwice"),
];

/// The sections, from top to bottom.
pub(super) fn sections(report: &BrokerReport) -> Vec<Section> {
    let mut sections = vec![warnings(report), speed(report), units(), counts(report)];
    sections.extend(programs(report).into_iter().flatten());
    sections.extend(findings(report).map(Section::Facts));
    sections.extend([Section::Notes(claims(report)), Section::Facts(setting(report))]);
    sections
}

/// What a page shows.
pub(super) fn page(report: &BrokerReport) -> Page {
    let mut parts = vec![
        warnings(report).into(),
        Part::Heading("Speed"),
        speed(report).into(),
        units().into(),
        Part::Heading("Counts"),
        counts(report).into(),
    ];
    if let Some(programs) = programs(report) {
        parts.push(Part::Heading("Kafka and RocketMQ themselves"));
        parts.extend(programs.map(Part::from));
    }
    let made = report.origin.iter().flat_map(Origin::facts);
    parts.extend([
        Part::Heading("What was found"),
        Section::Facts(findings(report).into_iter().flatten().collect()).into(),
        Part::Heading("The documents' claims"),
        Section::Notes(claims(report)).into(),
        Part::Heading(MEASURED),
        Section::Facts(setting(report).into_iter().chain(made).collect()).into(),
    ]);
    Page { title: "What delivering messages costs a broker".to_owned(), parts }
}

fn warnings(report: &BrokerReport) -> Section {
    let lost = all::lost(report.lost_events).into_iter();
    let warnings = lost.chain(report.warnings.iter().map(|it| it.text.clone()));
    Section::Warnings(warnings.collect())
}

fn speed(report: &BrokerReport) -> Section {
    Section::Table(table(&SPEED, report.delivered.iter().map(words::speed)))
}

fn units() -> Section {
    Section::Legend(vec![words::UNITS.to_owned()])
}

fn counts(report: &BrokerReport) -> Section {
    Section::Table(table(&COUNTS, report.delivered.iter().map(words::counts)))
}

/// What was measured of the programs themselves, if they were.
fn programs(report: &BrokerReport) -> Option<[Section; 4]> {
    let rows = || report.programs.iter();
    (!report.programs.is_empty()).then(|| {
        [
            Section::Table(table(&PROGRAM_SPEED, rows().map(words::program_speed))),
            Section::Table(table(&PROGRAM_COUNTS, rows().map(words::program_counts))),
            Section::Legend(vec![words::of_programs(&report.programs)]),
            Section::Facts(list("Programs", rows().map(words::program_way).collect())),
        ]
    })
}

/// Since when copies cost, and what else was tried.
fn findings(report: &BrokerReport) -> [Vec<Fact>; 4] {
    [
        list("Since when", words::differences(report)),
        list("To disk", report.produced.iter().map(words::produced).collect()),
        list("Features", words::features(report)),
        list("Crashes", vec![words::survival(report)]),
    ]
}

fn setting(report: &BrokerReport) -> Vec<Fact> {
    let setting = words::setting(report).into_iter();
    setting.map(|(name, text)| Fact::new(name, text)).collect()
}

fn table(columns: &[Column], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let row = |cells: Vec<String>| Row::of(cells.into_iter().map(Cell::new));
    Table { columns: columns.to_vec(), rows: rows.map(row).collect(), ..Table::default() }
}

/// The name stands before the first line only.
fn list(name: &str, lines: Vec<String>) -> Vec<Fact> {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(lines).map(|(name, line)| Fact::new(name, line)).collect()
}

fn claims(report: &BrokerReport) -> Vec<Note> {
    let claims = report.claims.iter().map(|claim| Note {
        mark: all::mark(claim.verdict),
        tone: claim.verdict.into(),
        text: format!("{} {}: {}: {}", claim.id, claim.verdict, claim.text, claim.note),
    });
    claims.collect()
}
