//! Rules for flows.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::{Evidence, Expectation, Measure, Rule, judge, lost, rule::End};
use crate::{
    Mover, Provenance,
    flows::UNKNOWN,
    flows::{
        self, Endpoint, Flow, Kind, Ledger, Traffic,
        balance::At,
        group::{self, Per, Row},
        verdict::uncounted_calls,
    },
    report::{
        flows::Recording,
        text::{CUT, fitted},
    },
    warning::words_of_calls,
};

/// The result of each rule.
pub fn of_flows(rules: &[Rule], recording: &Recording) -> Vec<Expectation> {
    if rules.is_empty() {
        return Vec::new();
    }
    let ledger = flows::settle(recording.ledger.clone(), recording.witnesses);
    let gap = gap(recording);
    let judged = |rule| judge(rule, evidence(rule, &ledger, gap.clone()));
    rules.iter().map(judged).collect()
}

/// A note on calls whose bytes are not counted, if there were any.
fn not_counted(calls: &BTreeMap<String, u64>) -> Option<String> {
    (!calls.is_empty()).then(|| format!("what {} moved is not counted", words_of_calls(calls)))
}

/// The reason why no flow can be judged, if there is one.
fn gap(recording: &Recording) -> Option<String> {
    if recording.is_cut_short {
        return Some("counting ended before the traced programs did".to_owned());
    }
    lost(recording.lost_events)
}

fn evidence(rule: &Rule, ledger: &Ledger, gap: Option<String>) -> Result<Evidence, String> {
    let part = |wanted: Match| -> Ledger {
        let flows = ledger.iter().filter(|(flow, _)| rule.matches(flow) == wanted);
        flows.map(|(flow, traffic)| (flow.clone(), traffic.clone())).collect()
    };
    let (matched, doubtful) = (part(Match::Yes), part(Match::Maybe));
    let rows = group::group(&matched, Per::Path);
    let Some(what) = words_of_worst(rule, &rows) else { return Err(words_of_none(ledger)) };
    let all = flows::total(&matched);
    let unnamed = flows::total(&doubtful).payload_bytes;
    let gap = gap
        .or_else(|| not_counted(&uncounted_calls(matched.values().chain(doubtful.values()))))
        .or_else(|| unseen_card(rule.measure, &matched));
    Ok(Evidence {
        bytes: all.payload_bytes,
        amount: matched.iter().map(|(flow, traffic)| rule.measure.amount(flow, traffic)).sum(),
        unseen_bytes: rule.measure.unseen(&all) + unnamed,
        missing: rule.measure.missing(&all).saturating_add(unnamed.saturating_mul(2)),
        unseen_reason: words_of_unseen(&all, unnamed),
        provenance: rule.measure.provenance(&all),
        gap,
        what,
    })
}

impl Measure {
    /// The amount of the measure in a flow.
    fn amount(self, flow: &Flow, traffic: &Traffic) -> u64 {
        match self {
            Self::Cpu => traffic.bytes_by(Mover::Cpu),
            Self::Dma => traffic.bytes_by(Mover::Dma),
            Self::Copies => traffic.bytes_by(Mover::Cpu) + traffic.bytes_by(Mover::Dma),
            Self::ByReference => traffic.passed_on(flow.destination.kind),
            Self::Switches => traffic.mode_switches(),
        }
    }

    /// Derived if a movement that it depends on was not seen. A byte that moved by reference is known not
    /// to be copied.
    fn provenance(self, traffic: &Traffic) -> Provenance {
        let rests_on = |by| match self {
            Self::Cpu | Self::ByReference => matches!(by, Mover::Cpu | Mover::Reference),
            Self::Dma => by == Mover::Dma,
            Self::Copies => by != Mover::Cipher,
            Self::Switches => false,
        };
        let moved = traffic.movements.iter().filter(|movement| rests_on(movement.by));
        moved.map(|movement| movement.provenance).max().unwrap_or(Provenance::Measured)
    }

    /// Unseen payload that would change the amount.
    fn unseen(self, traffic: &Traffic) -> u64 {
        if self.is_of_bytes() { traffic.unseen_bytes() } else { 0 }
    }

    /// Bytes that may be missing from it: each end may have an unseen movement.
    fn missing(self, traffic: &Traffic) -> u64 {
        let ends = [At::Source, At::Destination].map(|at| traffic.unseen_at(at));
        if self.is_of_bytes() { ends.iter().sum() } else { 0 }
    }
}

/// The bytes that a network card writes into a receiver's memory are in no number.
fn unseen_card(measure: Measure, matched: &Ledger) -> Option<String> {
    let is_received = |flow: &Flow| {
        flow.source.as_ref().is_some_and(|it| matches!(it.kind, Kind::Tcp | Kind::Udp))
    };
    let counts_devices = matches!(measure, Measure::Dma | Measure::Copies);
    (counts_devices && matched.keys().any(is_received))
        .then(|| "what network cards write into memory is not seen".to_owned())
}

/// The reasons for unseen bytes, each once.
fn words_of_unseen(all: &Traffic, unnamed: u64) -> String {
    let mut reasons: Vec<_> = all.unseen.iter().map(|unseen| unseen.reason()).collect();
    if unnamed > 0 {
        reasons.push("it is not known which file, connection or program they are of".to_owned());
    }
    reasons.sort();
    reasons.dedup();
    reasons.join(", and ")
}

/// The busiest row that breaks the rule, or of all rows, and the number of others.
fn words_of_worst(rule: &Rule, rows: &[Row]) -> Option<String> {
    let breaks = |row: &&Row| {
        let Row { flow, traffic, .. } = row;
        let (amount, missing) = (rule.measure.amount(flow, traffic), rule.measure.missing(traffic));
        !rule.holds(amount, missing, traffic.payload_bytes)
    };
    let worst = words_of(rows.iter().find(breaks).or(rows.first())?);
    Some(match rows.len() {
        1 => worst,
        2 => format!("{worst}, and 1 other flow"),
        all => format!("{worst}, and {} other flows", all - 1),
    })
}

/// The message that no flow matches, with the flows there are.
fn words_of_none(ledger: &Ledger) -> String {
    match group::group(ledger, Per::Path).first() {
        Some(busiest) => format!("no flow matches; the busiest was {}", words_of(busiest)),
        None => "no flow matches: no data call was made".to_owned(),
    }
}

/// Columns of a name in a message before it is cut.
const NAME: usize = 100;

/// `nginx: file /srv/x -> tcp port 8090`
fn words_of(row: &Row) -> String {
    // A connection by the server's port, as in the table.
    let name = |end: &Endpoint| match end.kind.is_socket() && !end.group.is_empty() {
        true => fitted(&end.group, NAME, CUT),
        false => fitted(&end.name, NAME, CUT),
    };
    let end = |end: &Endpoint| match (end.kind, name(end)) {
        (kind, name) if name.is_empty() => kind.to_string(),
        // `pipe:[4711]`
        (kind, name) if name.starts_with(&kind.to_string()) => name,
        (kind, name) => format!("{kind} {name}"),
    };
    let Flow { process, source, destination } = &row.flow;
    let source = source.as_ref().map_or_else(String::new, end);
    format!("{}: {source} -> {}", fitted(&process.name, NAME, CUT), end(destination))
}

/// Whether a flow matches a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    /// Its names are not known well enough.
    Maybe,
    Yes,
}

impl Rule {
    fn matches(&self, flow: &Flow) -> Match {
        let Some(source) = &flow.source else { return Match::No };
        let program =
            named(self.program.as_ref(), &[&flow.process.name], || flow.process.name == UNKNOWN);
        let ends = match &self.way {
            // Traffic in no flow, or without room of its own, may match.
            _ if !flow.is_data() => Match::Maybe,
            None => Match::Yes,
            Some(way) => way.source.matches(source).min(way.destination.matches(&flow.destination)),
        };
        program.min(ends)
    }
}

impl End {
    fn matches(&self, end: &Endpoint) -> Match {
        let kind = match self.kind {
            Some(kind) if kind != end.kind && end.name == UNKNOWN => Match::Maybe,
            Some(kind) if kind != end.kind => Match::No,
            _ => Match::Yes,
        };
        kind.min(named(self.name.as_ref(), &names(end), || is_half_known(end)))
    }
}

/// Whether one of the names matches.
fn named(wanted: Option<&WildMatch>, names: &[&str], is_half_known: impl Fn() -> bool) -> Match {
    match wanted {
        None => Match::Yes,
        Some(wanted) if names.iter().any(|name| wanted.matches(name)) => Match::Yes,
        Some(_) if is_half_known() => Match::Maybe,
        Some(_) => Match::No,
    }
}

/// The separator between the two addresses of a connection.
const BETWEEN: &str = " → ";

/// The names of an end: its name, each address of a connection, and its group.
fn names(end: &Endpoint) -> Vec<&str> {
    let group = end.group.as_str();
    let address = group.strip_prefix(BETWEEN.trim_start()).unwrap_or(group);
    let name = [end.name.as_str(), group, address].into_iter();
    name.chain(end.name.split(BETWEEN).filter(|_| end.kind.is_socket())).collect()
}

/// Whether the name is incomplete: unknown, forgotten to save room, or known only by its last part.
fn is_half_known(end: &Endpoint) -> bool {
    let name = end.name.as_str();
    match end.kind {
        Kind::Memory => false,
        Kind::Tcp | Kind::Udp => !name.contains(BETWEEN),
        _ => name.is_empty() || name == UNKNOWN || name.starts_with('…'),
    }
}
