//! Merging: several witnesses of one movement become one movement.

use std::collections::BTreeMap;

use super::{Movement, Mover, Place, Provenance, Side};

/// What two movements must share to be one. The order is the way of the bytes through the machine.
type Key = (Side, Place, Place, Mover, Provenance);

/// Merges the movements that differ only in their witness. Bytes and calls add up; the witnesses
/// are joined by `, `, the one that saw the most bytes first.
///
/// The result is sorted along the way of the bytes, the sender's before the receiver's, and does
/// not depend on the order of the input.
pub fn merge(movements: &[Movement]) -> Vec<Movement> {
    let mut groups: BTreeMap<Key, Vec<&Movement>> = BTreeMap::new();
    for movement in movements {
        groups.entry(key(movement)).or_default().push(movement);
    }
    groups.into_values().filter_map(|group| one(&group)).collect()
}

fn key(movement: &Movement) -> Key {
    (movement.side, movement.from, movement.to, movement.by, movement.provenance)
}

fn one(group: &[&Movement]) -> Option<Movement> {
    let first = *group.first()?;
    Some(Movement {
        witness: witnesses(group),
        bytes: group.iter().map(|movement| movement.bytes).sum(),
        calls: group.iter().map(|movement| movement.calls).sum(),
        // Verified as a whole, or not at all: a part could not be compared with the sum.
        verified_bytes: group.iter().map(|movement| movement.verified_bytes).sum(),
        ..first.clone()
    })
}

fn witnesses(group: &[&Movement]) -> String {
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    for movement in group {
        *bytes.entry(&movement.witness).or_default() += movement.bytes;
    }
    let mut names: Vec<_> = bytes.into_iter().collect();
    // The sort is stable, and the names come sorted: equally busy ones stay in that order.
    names.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    names.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entering(witness: &str, bytes: u64) -> Movement {
        Movement {
            from: Place::User,
            to: Place::Socket,
            by: Mover::Cpu,
            side: Side::Sender,
            provenance: Provenance::Measured,
            witness: witness.into(),
            bytes,
            calls: 1,
            verified_bytes: Some(bytes),
        }
    }

    #[test]
    fn the_busiest_witness_comes_first() {
        let merged = merge(&[entering("quiet", 1), entering("busy", 5), entering("quiet", 2)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].witness, "busy, quiet");
        assert_eq!((merged[0].bytes, merged[0].calls), (8, 3));
        assert_eq!(merged[0].verified_bytes, Some(8));
    }

    #[test]
    fn equally_busy_witnesses_are_sorted_by_name() {
        let merged = merge(&[entering("b", 1), entering("a", 1)]);
        assert_eq!(merged[0].witness, "a, b");
    }

    #[test]
    fn what_is_verified_in_part_is_not_verified() {
        let unverified = Movement { verified_bytes: None, ..entering("other", 1) };
        assert_eq!(merge(&[entering("one", 1), unverified])[0].verified_bytes, None);
    }

    #[test]
    fn derived_numbers_stay_apart_from_measured_ones() {
        let derived = Movement { provenance: Provenance::Derived, ..entering("write", 1) };
        assert_eq!(merge(&[entering("probe", 1), derived]).len(), 2);
    }
}
