//! One line for each number of each strategy: first those in the textbook, then
//! the rest. Movements are in the JSON document only.

use std::io;

use serde::Serialize;

use super::{Measured, PerMessage, Report, Skipped, StrategyRow};
use crate::{
    Provenance, Speed, Spread,
    claims::{Judgement, Quantity, Verdict},
};

/// A count that the textbook does not have.
type Count = (&'static str, fn(&PerMessage) -> f64);

const OTHER_COUNTS: [Count; 4] = [
    ("context-switches-voluntary", |counts| counts.context_switches_voluntary),
    ("context-switches-involuntary", |counts| counts.context_switches_involuntary),
    ("page-faults-user", |counts| counts.page_faults_user),
    ("page-faults-kernel", |counts| counts.page_faults_kernel),
];

/// The name of a quantity: one of the claims', one of the other counts, or none.
#[derive(Serialize)]
#[serde(untagged)]
enum Name {
    Claimed(Quantity),
    Other(&'static str),
    Skipped,
}

#[derive(Serialize)]
struct Line<'a> {
    strategy: &'a str,
    quantity: Name,
    per: &'static str,
    documented: Option<f64>,
    measured: Option<f64>,
    provenance: Option<Provenance>,
    verdict: Option<Verdict>,
    note: String,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut lines = csv::Writer::from_writer(out);
    for row in &report.strategies {
        match row {
            StrategyRow::Measured(measured) => {
                let claimed = measured.quantities.iter().map(|judged| claimed(measured, judged));
                let others = OTHER_COUNTS.iter().map(|count| other(measured, count));
                let speed = measured.speed.into_iter().flat_map(|speed| times(measured, speed));
                claimed.chain(others).chain(speed).try_for_each(|line| lines.serialize(line))?;
            }
            StrategyRow::Skipped(strategy) => lines.serialize(skipped(strategy))?,
        }
    }
    lines.flush()
}

fn claimed<'a>(measured: &'a Measured, judged: &Judgement) -> Line<'a> {
    Line {
        strategy: &measured.name,
        quantity: Name::Claimed(judged.quantity),
        per: if judged.quantity.is_copies() { "payload-byte" } else { "message" },
        documented: judged.documented,
        measured: judged.measured,
        provenance: Some(judged.provenance),
        verdict: judged.verdict,
        note: judged.reasons.join("; "),
    }
}

fn other<'a>(measured: &'a Measured, &(name, count): &Count) -> Line<'a> {
    Line {
        strategy: &measured.name,
        quantity: Name::Other(name),
        per: "message",
        documented: None,
        measured: Some(count(&measured.per_message)),
        provenance: Some(Provenance::Measured),
        verdict: None,
        note: String::new(),
    }
}

/// The medians, and in the notes what they are of.
fn times(measured: &Measured, speed: Speed) -> [Line<'_>; 2] {
    let line = |name, per, spread: Spread| Line {
        strategy: &measured.name,
        quantity: Name::Other(name),
        per,
        documented: None,
        measured: Some(spread.median),
        provenance: Some(Provenance::Measured),
        verdict: None,
        note: format!(
            "median of {} rounds without probes: {} to {}",
            speed.rounds, spread.min, spread.max
        ),
    };
    [
        line("cpu-seconds", "gb", speed.cpu_seconds_per_gb),
        line("bytes", "second", speed.bytes_per_second),
    ]
}

fn skipped(strategy: &Skipped) -> Line<'_> {
    Line {
        strategy: &strategy.name,
        quantity: Name::Skipped,
        per: "",
        documented: None,
        measured: None,
        provenance: None,
        verdict: None,
        note: format!("skipped: {}", strategy.skipped),
    }
}
