//! Merging: several witnesses of one movement become one movement.

use std::collections::{BTreeMap, BTreeSet};

use super::{Movement, Mover, Place, Provenance, Side};

const BETWEEN_WITNESSES: &str = ", ";

/// The properties of movements that are merged into one. The order is the way of the bytes through the
/// machine.
type Key = (Side, Place, Place, Mover, Provenance);

/// Merges the movements that differ only in their witness. Bytes and calls add up; the witnesses
/// are joined by `, `, each named once.
///
/// The result is sorted along the way of the bytes, the sender's before the receiver's, and does
/// not depend on the order of the input, nor on what of it was merged before.
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
    let names: BTreeSet<&str> =
        group.iter().flat_map(|movement| movement.witness.split(BETWEEN_WITNESSES)).collect();
    names.into_iter().collect::<Vec<_>>().join(BETWEEN_WITNESSES)
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
    fn witnesses_are_named_once_whatever_was_merged_before() {
        let [quiet, busy] = [entering("quiet", 1), entering("busy", 5)];
        let merged = merge(&[quiet.clone(), busy, entering("quiet", 2)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].witness, "busy, quiet");
        assert_eq!((merged[0].bytes, merged[0].calls), (8, 3));
        assert_eq!(merged[0].verified_bytes, Some(8));
        assert_eq!(merge(&[merged[0].clone(), quiet])[0].witness, "busy, quiet");
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
