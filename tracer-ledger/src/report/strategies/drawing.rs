//! The way of the bytes as a drawing of one line: `disk ══▶ page cache ──▶ user buffer`.

use super::MovementRow;
use crate::{
    Mover, Place, Provenance,
    report::diagram::{FEW, words::meaning},
};

/// An arrow says how many times each byte moves if that is further from once than this.
const ONCE: f64 = 0.02;

/// The character of each mover's arrow.
const ARROWS: [(Mover, char); 4] =
    [(Mover::Dma, '═'), (Mover::Cpu, '─'), (Mover::Reference, '┄'), (Mover::Cipher, '≋')];

/// The meanings of these movements' arrows.
pub(super) fn legend<'a>(movements: impl Iterator<Item = &'a MovementRow>) -> Option<String> {
    let movements: Vec<_> = movements.filter(|it| it.per_payload_byte >= FEW).collect();
    let drawn = ARROWS.iter().filter(|(by, _)| movements.iter().any(|it| it.by == *by));
    let drawn: Vec<_> = drawn.map(|(by, line)| format!("{line}{line} {}", meaning(*by))).collect();
    (!drawn.is_empty()).then(|| drawn.join(", "))
}

/// The ways of these movements. What does not fit into the way before begins one of its own.
pub(super) fn drawing<'a>(movements: impl Iterator<Item = &'a MovementRow>) -> String {
    let all: Vec<&MovementRow> = movements.filter(|it| it.per_payload_byte >= FEW).collect();
    let mut rest: Vec<&MovementRow> =
        all.iter().copied().filter(|movement| !is_inside(movement, &all)).collect();
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

/// Whether it is the way through a pipe of pages that are passed on from where they were: `sendfile` has
/// one inside.
fn is_inside(movement: &MovementRow, all: &[&MovementRow]) -> bool {
    let is_passed_on = |other: &&MovementRow| {
        other.by == Mover::Reference && other.from == movement.from && other.to != Place::Pipe
    };
    movement.by == Mover::Reference
        && movement.to == Place::Pipe
        && !all.iter().any(|other| other.from == Place::Pipe)
        && all.iter().any(is_passed_on)
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
    let line = ARROWS.iter().find(|(by, _)| *by == movement.by).map_or('─', |(_, line)| *line);
    let begin = if movement.provenance == Provenance::Derived { '~' } else { line };
    if (movement.per_payload_byte - 1.0).abs() <= ONCE {
        format!("{begin}{line}▶")
    } else {
        format!("{begin}{line}{:.2}{line}▶", movement.per_payload_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Side;

    fn moved(from: Place, to: Place, by: Mover, per_payload_byte: f64) -> MovementRow {
        MovementRow {
            from,
            to,
            by,
            side: Side::Sender,
            bytes: (per_payload_byte * 1e6) as u64,
            calls: 1,
            per_payload_byte,
            provenance: Provenance::Measured,
            witness: String::new(),
            verified_bytes: None,
            disagreement: None,
        }
    }

    #[test]
    fn a_way_is_drawn_in_the_order_of_the_bytes() {
        use Place::{Disk, Kernel, Nic, PageCache, Pipe, Socket, User};
        let late = [
            moved(Kernel, Nic, Mover::Dma, 1.0),
            moved(PageCache, User, Mover::Cpu, 1.0),
            moved(Disk, PageCache, Mover::Dma, 1.5),
            moved(User, Socket, Mover::Reference, 1.0),
            moved(Socket, Kernel, Mover::Cpu, 1.0),
            moved(User, Pipe, Mover::Cpu, 0.001),
        ];
        assert_eq!(
            drawing(late.iter()),
            "disk ══1.50═▶ page cache ──▶ user buffer ┄┄▶ socket buffer ──▶ kernel buffer ══▶ NIC"
        );
        let spliced = [
            moved(PageCache, Pipe, Mover::Reference, 1.0),
            moved(PageCache, Socket, Mover::Reference, 1.0),
        ];
        assert_eq!(drawing(spliced.iter()), "page cache ┄┄▶ socket buffer");
        let piped = [moved(User, Pipe, Mover::Cpu, 1.0), moved(Pipe, User, Mover::Cpu, 1.0)];
        assert!(drawing(piped.iter()).contains("pipe ──▶ user buffer"));
    }
}
