//! The rows to show in a short table: small ones that are alike are folded into one before any is left
//! out, so that almost all bytes are shown.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Endpoint, Flow, Kind, Process,
    group::{Per, Row, coarse, other},
};
use crate::Mover;

/// The most rows, unless showing enough takes more.
const MOST_ROWS: usize = 20;

/// The share of the payload, in hundredths, from which on a row is worth showing: reads of libraries and
/// of files at start-up are flows too.
const WORTH_A_ROW: u64 = 1;

/// The share of the payload, in hundredths, that may be left out.
const LITTLE: u64 = 5;

/// A short list of rows, the busiest first.
#[derive(Clone, Debug)]
pub struct Digest {
    /// The rows that are shown.
    pub shown: Vec<Entry>,
    /// The rows that are too small for that.
    pub left_out: Vec<Entry>,
}

/// One row, or several in one.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Their sum, named by their common part; its number of connections is the largest of theirs, a lower
    /// bound.
    pub row: Row,
    /// The number of rows it is made of.
    pub rows: u64,
    /// The number of their sources.
    pub sources: u64,
    /// The number of their destinations.
    pub destinations: u64,
}

/// The common property of rows that are folded into one.
#[derive(Clone, Copy)]
enum Alike {
    /// The process, as the report tells processes apart, the kinds, and all ends except files.
    Ends,
    /// The process, as the report tells processes apart, and the kinds.
    Kinds,
    /// The name of the program, and kinds.
    Program,
    /// The kinds.
    Way,
}

/// A rule for folding: rows below this share of the payload, in hundredths, become one if they are alike
/// in this way.
struct Fold {
    below: u64,
    alike: Alike,
}

/// The rule that loses the least comes first.
const FOLDS: [Fold; 5] = [
    Fold { below: WORTH_A_ROW, alike: Alike::Ends },
    Fold { below: LITTLE, alike: Alike::Ends },
    Fold { below: LITTLE, alike: Alike::Kinds },
    Fold { below: LITTLE, alike: Alike::Program },
    Fold { below: LITTLE, alike: Alike::Way },
];

/// The keys for sorting rows, in descending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Sort {
    /// Bytes that reached the destination
    #[default]
    Payload,
    /// Bytes that the CPU copied
    Copied,
    /// Mode switches
    Switches,
    /// Time that the calls took on CPUs
    Time,
}

impl Sort {
    /// Sorts; equal ones keep their order.
    pub fn sort<T>(self, items: &mut [T], row: impl Fn(&T) -> &Row) {
        items.sort_by_key(|item| {
            let traffic = &row(item).traffic;
            Reverse(match self {
                Self::Payload => (traffic.payload_bytes, traffic.syscalls()),
                Self::Copied => (traffic.bytes_by(Mover::Cpu), traffic.payload_bytes),
                Self::Switches => (traffic.mode_switches(), traffic.payload_bytes),
                Self::Time => (traffic.cpu_time_ns, traffic.payload_bytes),
            })
        });
    }
}

/// The rows of a report, sorted: `top` of them, all if that is 0; without it, folded just enough to show
/// most of the payload in few rows.
pub fn digest(rows: &[Row], per: Per, sort: Sort, top: Option<usize>) -> Digest {
    if top == Some(0) {
        let shown = rows.iter().cloned().map(Entry::alone).collect();
        return Digest { shown, left_out: Vec::new() };
    }
    let digest = enough(rows, per);
    if sort == Sort::Payload && top.is_none() {
        return digest;
    }
    let mut shown = digest.shown;
    shown.extend(digest.left_out);
    sort.sort(&mut shown, |entry| &entry.row);
    let left_out = shown.split_off(top.unwrap_or(MOST_ROWS).min(shown.len()));
    Digest { shown, left_out }
}

fn enough(rows: &[Row], per: Per) -> Digest {
    let whole = payload(rows);
    let all = rows.iter().cloned().map(Entry::alone).collect();
    let mut digest = cut(all, whole);
    if digest.left_out.is_empty() {
        return digest;
    }
    for fold in &FOLDS {
        digest = cut(folded(rows, per, fold, whole), whole);
        if digest.shown.len() <= MOST_ROWS {
            break;
        }
    }
    digest
}

fn payload(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.traffic.payload_bytes).sum()
}

/// Whether a part is less than this share of the whole.
fn is_below(part: u64, hundredths: u64, whole: u64) -> bool {
    u128::from(part) * 100 < u128::from(hundredths) * u128::from(whole)
}

/// Shows the rows worth it as long as there is room, and always enough of the payload.
fn cut(mut entries: Vec<Entry>, whole: u64) -> Digest {
    Sort::Payload.sort(&mut entries, |entry| &entry.row);
    let bytes = |entry: &Entry| entry.row.traffic.payload_bytes;
    let worth = entries.iter().take_while(|it| !is_below(bytes(it), WORTH_A_ROW, whole)).count();
    let mut missing = whole;
    let needed = entries.iter().take_while(|entry| {
        let is_needed = !is_below(missing, LITTLE, whole);
        missing -= bytes(entry);
        is_needed
    });
    let needed = if whole > 0 { needed.count() } else { 0 };
    let left_out = entries.split_off(needed.max(worth.min(MOST_ROWS)));
    sent_first(&mut entries);
    Digest { shown: entries, left_out }
}

/// Bytes that a program sends to itself are received with their headers, in a row as busy or busier: the
/// sending row comes first.
fn sent_first(entries: &mut [Entry]) {
    /// The tolerance between the two, in hundredths.
    const NEARLY: u64 = 90;
    let is_sent = |entry: &Entry| entry.row.flow.destination.kind != Kind::Memory;
    let bytes = |entry: &Entry| entry.row.traffic.payload_bytes;
    for index in 1..entries.len() {
        let (before, after) = (&entries[index - 1], &entries[index]);
        let is_close = !is_below(bytes(after), NEARLY, bytes(before));
        if is_sent(after) && !is_sent(before) && is_close {
            entries.swap(index - 1, index);
        }
    }
}

fn folded(rows: &[Row], per: Per, fold: &Fold, whole: u64) -> Vec<Entry> {
    let is_small = |row: &&Row| is_below(row.traffic.payload_bytes, fold.below, whole);
    let (small, large): (Vec<_>, Vec<_>) = rows.iter().partition(is_small);
    let mut groups: BTreeMap<Flow, Vec<&Row>> = BTreeMap::new();
    for row in small {
        groups.entry(fold.alike.common(&row.flow, per)).or_default().push(row);
    }
    let large = large.into_iter().cloned().map(Entry::alone);
    large.chain(groups.into_iter().flat_map(|(flow, rows)| in_group(flow, &rows))).collect()
}

/// Folds rows that are alike; the busiest keeps its name if it has most of their payload.
fn in_group(flow: Flow, rows: &[&Row]) -> Vec<Entry> {
    /// In hundredths.
    const MOST: u64 = 50;
    let sum = rows.iter().map(|row| row.traffic.payload_bytes).sum();
    match rows {
        [busiest, others @ ..]
            if !others.is_empty() && !is_below(busiest.traffic.payload_bytes, MOST, sum) =>
        {
            vec![Entry::alone((*busiest).clone()), Entry::of(flow, others)]
        }
        _ => vec![Entry::of(flow, rows)],
    }
}

impl Alike {
    /// The common part of a flow and others.
    fn common(self, flow: &Flow, per: Per) -> Flow {
        let process = match self {
            Self::Ends | Self::Kinds => coarse(flow, per).process,
            Self::Program => coarse(flow, Per::Kind).process,
            Self::Way => Process::default(),
        };
        let end = |end: &Endpoint| match (self, end.kind) {
            (Self::Ends, kind) if kind != Kind::File => other(end, Endpoint::new(kind, &end.group)),
            (_, kind) => Endpoint::new(kind, ""),
        };
        let source = flow.source.as_ref().map(end);
        Flow { process, source, destination: end(&flow.destination) }
    }
}

impl Entry {
    fn alone(row: Row) -> Self {
        Self { row, rows: 1, sources: 1, destinations: 1 }
    }

    /// `flow`: the common part of the rows.
    fn of(flow: Flow, rows: &[&Row]) -> Self {
        if let [row] = rows {
            return Self::alone((*row).clone());
        }
        let mut sum = Row { flow, flows: 0, connections: 0, traffic: super::Traffic::default() };
        for row in rows {
            sum.flows += row.flows;
            sum.connections = sum.connections.max(row.connections);
            sum.traffic.add(&row.traffic);
        }
        let sources: BTreeSet<_> = rows.iter().filter_map(|row| row.flow.source.as_ref()).collect();
        let destinations: BTreeSet<_> = rows.iter().map(|row| &row.flow.destination).collect();
        let processes: BTreeSet<_> = rows.iter().map(|row| &row.flow.process).collect();
        sum.flow.source = shared(&sources);
        sum.flow.destination = shared(&destinations).unwrap_or(sum.flow.destination);
        sum.flow.process = owner(sum.flow.process, &processes);
        Self {
            row: sum,
            rows: rows.len() as u64,
            sources: names(&sources).len() as u64,
            destinations: names(&destinations).len() as u64,
        }
    }
}

/// The only process, or the common part of all.
fn owner(common: Process, all: &BTreeSet<&Process>) -> Process {
    let names: BTreeSet<_> = all.iter().map(|process| &process.name).collect();
    match (all.first(), all.len(), names.len()) {
        (Some(only), 1, _) => (*only).clone(),
        (_, _, 1) => common,
        (_, _, programs) => Process { name: format!("{programs} programs"), ..Process::default() },
    }
}

/// The only end, or one named by the common part of all, if there is one.
fn shared(ends: &BTreeSet<&Endpoint>) -> Option<Endpoint> {
    let first = *ends.first()?;
    let names = names(ends);
    if ends.len() == 1 {
        return Some(first.clone());
    }
    let name = match first.kind {
        _ if names.len() == 1 => &first.name,
        Kind::File => folder(names.into_iter()),
        _ if ends.iter().all(|end| end.group == first.group) => &first.group,
        _ => "",
    };
    Some(Endpoint { medium: first.medium, ..Endpoint::new(first.kind, name) })
}

/// Their names, each once: descriptors of the same file are not several files.
fn names<'a>(ends: &BTreeSet<&'a Endpoint>) -> BTreeSet<&'a str> {
    ends.iter().map(|end| end.name.as_str()).collect()
}

/// The deepest folder that all files are in; empty if it is the root, or none.
fn folder<'a>(files: impl Iterator<Item = &'a str>) -> &'a str {
    let parent = |file: &'a str| file.rfind('/').map_or("", |at| &file[..at]);
    files.map(parent).reduce(in_common).unwrap_or_default()
}

/// The deepest folder that contains both.
fn in_common<'a>(one: &'a str, another: &str) -> &'a str {
    let mut same = 0;
    for (a, b) in one.split('/').zip(another.split('/')) {
        if a != b {
            break;
        }
        same += a.len() + 1;
    }
    &one[..same.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Ledger, Traffic,
        group::group,
        tests::{file, flow, tcp},
    };

    fn sent(payload_bytes: u64) -> Traffic {
        Traffic { payload_bytes, ..Traffic::default() }
    }

    fn of(ledger: &Ledger) -> Digest {
        digest(&group(ledger, Per::Path), Per::Path, Sort::Payload, None)
    }

    /// `count` files, each sent on a connection of its own.
    fn files(count: u16, bytes: u64) -> impl Iterator<Item = (Flow, Traffic)> {
        (0..count).map(move |number| {
            let name = format!("/srv/www/{}/{number}", number % 7);
            (flow(file(&name), tcp(number)), sent(bytes))
        })
    }

    fn ends(entry: &Entry) -> (&str, &str) {
        let Flow { source, destination, .. } = &entry.row.flow;
        (source.as_ref().map_or("", |source| source.name.as_str()), &destination.name)
    }

    #[test]
    fn many_small_files_are_one_row() {
        let mut ledger: Ledger = files(1500, 8192).collect();
        ledger.insert(flow(Endpoint::memory(), tcp(1)), sent(1500 * 200));
        let digest = of(&ledger);
        assert_eq!(digest.shown.len(), 2);
        assert_eq!(ends(&digest.shown[0]), ("/srv/www", "port 80"));
        let Entry { row, rows, sources, .. } = &digest.shown[0];
        assert_eq!((row.traffic.payload_bytes, *rows, *sources), (1500 * 8192, 1500, 1500));
        assert!(digest.left_out.is_empty());
    }

    #[test]
    fn what_is_sent_comes_before_what_is_received_of_it() {
        let received = |bytes| {
            let mut ledger: Ledger = files(1, 1000).collect();
            ledger.insert(flow(tcp(1), Endpoint::memory()), sent(bytes));
            let first = of(&ledger).shown.remove(0).row.flow;
            first.destination.kind
        };
        assert_eq!(received(1024), Kind::Tcp);
        assert_eq!(received(2000), Kind::Memory, "by far the most comes first");
    }

    #[test]
    fn what_fits_is_not_folded() {
        assert_eq!(of(&files(20, 4096).collect()).shown.len(), 20);
        let folded = of(&files(30, 4096).collect()).shown;
        assert_eq!((folded.len(), folded[0].rows), (1, 30));
    }

    #[test]
    fn a_large_file_stays_a_row_beside_small_ones() {
        let mut ledger: Ledger = files(100, 4096).collect();
        ledger.insert(flow(file("/srv/www/big"), tcp(1)), sent(1 << 20));
        let shown = of(&ledger).shown;
        assert_eq!(shown.iter().map(|entry| entry.rows).collect::<Vec<_>>(), [1, 100]);
        assert_eq!(ends(&shown[0]).0, "/srv/www/big");
    }

    #[test]
    fn a_log_keeps_its_name_beside_a_file_of_a_few_bytes() {
        let mut ledger: Ledger = files(30, 4096).collect();
        ledger.insert(flow(Endpoint::memory(), file("/var/log/access")), sent(3000));
        ledger.insert(flow(Endpoint::memory(), file("/run/pid")), sent(6));
        let digest = of(&ledger);
        assert_eq!(digest.shown.iter().map(|entry| entry.rows).collect::<Vec<_>>(), [30, 1]);
        assert_eq!(ends(&digest.shown[1]).1, "/var/log/access");
        assert_eq!(digest.left_out.len(), 1);
    }

    #[test]
    fn what_a_program_looks_up_when_it_starts_is_left_out() {
        let looked_up =
            |number| (flow(file(&format!("/lib/{number}")), Endpoint::memory()), sent(832));
        let mut ledger: Ledger = (0..9).map(looked_up).collect();
        ledger.insert(flow(file("/srv/big"), tcp(1)), sent(1 << 30));
        let digest = of(&ledger);
        assert_eq!(digest.shown.len(), 1);
        assert_eq!(digest.left_out[0].rows, 9);
    }

    #[test]
    fn programs_become_one_row_only_where_nothing_else_helps() {
        let by = |number: u32| {
            let mut flow = flow(file("/srv/big"), tcp(1));
            flow.process.name = format!("worker-{number}");
            (flow, sent(100))
        };
        let shown = of(&(0..99).map(by).collect()).shown;
        assert_eq!((shown.len(), shown[0].row.flow.process.name.as_str()), (1, "99 programs"));
        assert_eq!(ends(&shown[0]).0, "/srv/big");
    }

    #[test]
    fn the_user_says_how_many_rows_and_in_which_order() {
        let mut ledger: Ledger = files(30, 4096).collect();
        let heads = Traffic { cpu_time_ns: 1, ..sent(300) };
        ledger.insert(flow(Endpoint::memory(), tcp(1)), heads);
        let rows = group(&ledger, Per::Path);
        let shown = |sort, top| digest(&rows, Per::Path, sort, top);
        assert_eq!(shown(Sort::Payload, Some(0)).shown.len(), 31);
        let one = shown(Sort::Time, Some(1));
        assert_eq!((one.shown.len(), one.shown[0].row.traffic.payload_bytes), (1, 300));
        assert_eq!(one.left_out.iter().map(|entry| entry.rows).sum::<u64>(), 30);
    }

    #[test]
    fn descriptors_of_a_file_are_one_file() {
        let by = |descriptor| {
            let file = Endpoint { descriptor: Some(descriptor), ..file("/srv/big") };
            (flow(file, tcp(1)), sent(100))
        };
        let rows = group(&(0..200).map(by).collect(), Per::Fd);
        let shown = digest(&rows, Per::Fd, Sort::Payload, None).shown;
        assert_eq!((shown[0].rows, shown[0].sources, ends(&shown[0]).0), (200, 1, "/srv/big"));
    }

    #[test]
    fn a_folder_is_whole() {
        let of = |files: &[&'static str]| folder(files.iter().copied());
        assert_eq!(of(&["/srv/www/a", "/srv/www/b"]), "/srv/www");
        assert_eq!(of(&["/srv/www/a/1", "/srv/www/b"]), "/srv/www");
        assert_eq!(of(&["/srv/www1/a", "/srv/www2/a"]), "/srv");
        assert_eq!(of(&["/srv/a", "/etc/a"]), "");
        assert_eq!(of(&["/a", "/b"]), "");
        assert_eq!(of(&["memfd:a", "memfd:b", "/srv/a"]), "");
    }
}
