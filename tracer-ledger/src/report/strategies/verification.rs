//! The breakpoints' bytes beside the probes' bytes, under `--verify`.

use super::{MovementRow, Report};
use crate::{Side, words};

/// The headings of [`checks`].
pub(super) const HEADINGS: [&str; 5] =
    ["strategy", "copy by the CPU", "bytes by\nprobes", "bytes by\nbreakpoints", "difference"];

/// One row for each verified movement.
pub(super) fn checks(report: &Report) -> Vec<[String; HEADINGS.len()]> {
    let mut checks = Vec::new();
    for measured in report.measured() {
        let rows = measured.movements.iter().filter_map(|movement| check(&measured.name, movement));
        checks.extend(rows);
    }
    checks
}

fn check(strategy: &str, movement: &MovementRow) -> Option<[String; HEADINGS.len()]> {
    let verified = movement.verified_bytes?;
    Some([
        strategy.to_owned(),
        way(movement),
        words::grouped(movement.bytes),
        words::grouped(verified),
        difference(movement),
    ])
}

fn way(movement: &MovementRow) -> String {
    match movement.side {
        Side::Sender => movement.way(),
        Side::Receiver => format!("{} (receiver)", movement.way()),
    }
}

fn difference(movement: &MovementRow) -> String {
    match movement.disagreement {
        Some(0.0) => "none".into(),
        Some(part) => format!("{:+.4} %", part * 100.0),
        None => "all".into(),
    }
}
