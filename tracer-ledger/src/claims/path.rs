//! Compares the way of the bytes with the textbook's picture of it, arrow by arrow.

use super::condition::{Condition, Effect};
use super::documents::{Arrow, Strategy};
use super::finding::{Finding, Weight};
use super::{Quantity, TOLERANCE};
use crate::{Movement, Mover, Observation, Place, merge};

/// The differences, for the movers that a quantity counts.
pub(super) fn compare(
    documented: &Strategy,
    quantity: Quantity,
    observed: &Observation,
    conditions: &[Condition],
) -> Vec<Finding> {
    let effects: Vec<_> = conditions.iter().map(|condition| condition.effect()).collect();
    let arrows = documented.arrows.iter().filter(|arrow| quantity.counts(arrow.by));
    let mut findings: Vec<_> =
        arrows.filter_map(|arrow| documented_arrow(arrow, observed, &effects)).collect();
    findings.extend(
        sent(observed)
            .iter()
            .filter(|movement| quantity.counts(movement.by))
            .filter(|movement| !documented.arrows.iter().any(|arrow| arrow.is(movement)))
            .filter_map(|movement| undocumented_movement(movement, observed, &effects)),
    );
    if quantity.counts(Mover::Cpu) {
        findings.extend(unseen_entry(observed));
    }
    if same_number(documented, quantity, observed) {
        findings.iter_mut().for_each(another_way_to_the_same_number);
    }
    findings
}

/// The arrows of the textbook, and the other movements of the measured side, in words.
pub(super) fn evidence(observed: &Observation) -> String {
    let seen: Vec<_> = sent(observed)
        .iter()
        .map(|movement| {
            let copies = observed.per_payload_byte(movement.bytes);
            format!("{} {copies:.2}", words(movement.from, movement.to, movement.by))
        })
        .collect();
    seen.join(", ")
}

fn documented_arrow(arrow: &Arrow, observed: &Observation, effects: &[&Effect]) -> Option<Finding> {
    let bytes = observed.own().filter(|movement| arrow.is(movement)).map(|m| m.bytes).sum();
    let seen = observed.per_payload_byte(bytes);
    if same(seen, 1.0) {
        return None;
    }
    if let Some(effect) = effects.iter().find(|effect| effect.changes(arrow))
        && same(seen, effect.expected)
    {
        return Some(Finding::new(Weight::Explained, effect.reason));
    }
    let name = words(arrow.from[0], arrow.to, arrow.by);
    Some(if arrow.from.contains(&Place::Disk) && seen > 1.0 {
        let reason = format!("the disk gives whole pages and reads ahead: {name} {seen:.2}");
        Finding::new(Weight::Explained, reason)
    } else if !reached(arrow.to, observed) {
        let reason = format!("no {name} was seen, though the payload arrived");
        Finding::new(Weight::Blind, reason)
    } else {
        Finding::new(Weight::Unexplained, format!("{name} is {seen:.2}, not 1"))
    })
}

fn undocumented_movement(
    movement: &Movement,
    observed: &Observation,
    effects: &[&Effect],
) -> Option<Finding> {
    let seen = observed.per_payload_byte(movement.bytes);
    if same(seen, 0.0) {
        return None;
    }
    if let Some(effect) = effects.iter().find(|effect| effect.brings(movement))
        && same(seen, effect.expected)
    {
        return Some(Finding::new(Weight::Explained, effect.reason));
    }
    let name = words(movement.from, movement.to, movement.by);
    Some(Finding::new(Weight::Unexplained, format!("{name} {seen:.2} is not in the textbook")))
}

/// The payload arrived: if no witness saw it get there, a copy may be missing.
fn unseen_entry(observed: &Observation) -> Option<Finding> {
    let unseen = observed.unaccounted() as f64 / observed.payload_bytes.max(1) as f64;
    (unseen > TOLERANCE).then(|| {
        let percent = unseen * 100.0;
        let delivery = observed.route.delivery();
        let reason = format!("{percent:.0} % of the payload was not seen {delivery}");
        Finding::new(Weight::Blind, reason)
    })
}

fn sent(observed: &Observation) -> Vec<Movement> {
    let sent: Vec<_> = observed.own().cloned().collect();
    merge(&sent)
}

fn reached(place: Place, observed: &Observation) -> bool {
    observed.own().any(|movement| movement.to == place && movement.bytes > 0)
}

fn same_number(documented: &Strategy, quantity: Quantity, observed: &Observation) -> bool {
    same(quantity.of(observed), documented.documented(quantity))
}

fn another_way_to_the_same_number(finding: &mut Finding) {
    if finding.weight == Weight::Unexplained {
        finding.weight = Weight::Explained;
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE
}

fn words(from: Place, to: Place, by: Mover) -> String {
    match by {
        Mover::Reference => format!("{from} → {to} (by reference)"),
        copy => format!("{from} → {to} ({copy})"),
    }
}
