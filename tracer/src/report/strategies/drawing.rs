//! The way of the bytes as a drawing of one line: `disk ══▶ page cache ──▶ user buffer`.

use super::MovementRow;
use crate::ledger::{Mover, Place, Provenance};

/// Movements of less than this of a payload byte are answers and a driver's few header bytes.
const FEW: f64 = 0.005;

/// An arrow says how many times each byte moves if that is further from once than this.
const ONCE: f64 = 0.02;

/// What an arrow of each mover is drawn with, and what it means.
const ARROWS: [(Mover, char, &str); 4] = [
    (Mover::Dma, '═', "copied by a device (DMA)"),
    (Mover::Cpu, '─', "copied by the CPU"),
    (Mover::Reference, '┄', "passed on by reference"),
    (Mover::Cipher, '≋', "encrypted"),
];

/// What the arrows of these movements mean.
pub(super) fn legend<'a>(movements: impl Iterator<Item = &'a MovementRow>) -> Option<String> {
    let movements: Vec<_> = movements.filter(|it| it.per_payload_byte >= FEW).collect();
    let drawn = ARROWS.iter().filter(|(by, ..)| movements.iter().any(|it| it.by == *by));
    let drawn: Vec<_> = drawn.map(|(_, line, text)| format!("{line}{line} {text}")).collect();
    (!drawn.is_empty()).then(|| drawn.join(", "))
}

/// The ways of these movements. What does not fit into the way before begins one of its own.
pub(super) fn drawing<'a>(movements: impl Iterator<Item = &'a MovementRow>) -> String {
    let mut rest: Vec<&MovementRow> = movements.filter(|it| it.per_payload_byte >= FEW).collect();
    let mut ways = Vec::new();
    while let Some(first) = beginning(&rest) {
        let mut movement = rest.remove(first);
        let mut way = movement.from.to_string();
        loop {
            way = format!("{way} {} {}", arrow(movement), movement.to);
            match largest(&rest, |next| next.from == movement.to) {
                Some(next) => movement = rest.remove(next),
                None => break,
            }
        }
        ways.push(way);
    }
    ways.join(", ")
}

/// The movement to begin with: out of a place that no other one leads to.
fn beginning(movements: &[&MovementRow]) -> Option<usize> {
    let is_reached = |place: Place| movements.iter().any(|it| it.to == place && it.from != place);
    largest(movements, |movement| !is_reached(movement.from)).or(largest(movements, |_| true))
}

fn largest(movements: &[&MovementRow], is: impl Fn(&MovementRow) -> bool) -> Option<usize> {
    let such = (0..movements.len()).filter(|index| is(movements[*index]));
    such.max_by_key(|index| movements[*index].bytes)
}

fn arrow(movement: &MovementRow) -> String {
    let line =
        ARROWS.iter().find(|(by, ..)| *by == movement.by).map_or('─', |(_, line, _)| *line);
    let begin = if movement.provenance == Provenance::Derived { '~' } else { line };
    if (movement.per_payload_byte - 1.0).abs() <= ONCE {
        format!("{begin}{line}▶")
    } else {
        format!("{begin}{line}{:.2}{line}▶", movement.per_payload_byte)
    }
}
