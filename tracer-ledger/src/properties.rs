//! Properties of every ledger, whatever its content.

use proptest::prelude::*;

use super::{Movement, Mover, Observation, Place, Provenance, Side, merge};

/// Small enough that no sum overflows, large enough for a terabyte.
const MOST_BYTES: u64 = 1 << 40;

fn place() -> impl Strategy<Value = Place> {
    use Place::*;
    prop::sample::select(vec![Disk, PageCache, User, Socket, Pipe, Kernel, Nic])
}

fn mover() -> impl Strategy<Value = Mover> {
    prop::sample::select(vec![Mover::Dma, Mover::Cpu, Mover::Reference, Mover::Cipher])
}

fn movement() -> impl Strategy<Value = Movement> {
    let side = prop::sample::select(vec![Side::Sender, Side::Receiver]);
    let provenance = prop::sample::select(vec![Provenance::Measured, Provenance::Derived]);
    let numbers = (0..MOST_BYTES, 0..1000u64, prop::option::of(0..MOST_BYTES));
    (place(), place(), mover(), side, provenance, "[abc]", numbers).prop_map(
        |(from, to, by, side, provenance, witness, (bytes, calls, verified_bytes))| Movement {
            from,
            to,
            by,
            side,
            provenance,
            witness,
            bytes,
            calls,
            verified_bytes,
        },
    )
}

fn movements() -> impl Strategy<Value = Vec<Movement>> {
    prop::collection::vec(movement(), 0..40)
}

fn observation() -> impl Strategy<Value = Observation> {
    let syscalls = prop::collection::btree_map("[a-z]{1,8}", 0..10_000u64, 0..4);
    let counts = (0..1000u64, 0..1000u64, 0..1000u64, 0..1000u64);
    (movements(), syscalls, 0..MOST_BYTES, 0..1000u64, counts).prop_map(
        |(movements, syscalls, payload_bytes, messages, counts)| Observation {
            strategy: "any".into(),
            messages,
            payload_bytes,
            syscalls,
            page_faults_user: counts.0,
            page_faults_kernel: counts.1,
            context_switches_voluntary: counts.2,
            context_switches_involuntary: counts.3,
            movements,
            ..Observation::default()
        },
    )
}

fn bytes(movements: &[Movement], by: Mover) -> u64 {
    movements.iter().filter(|movement| movement.by == by).map(|movement| movement.bytes).sum()
}

proptest! {
    #[test]
    fn copies_are_additive(observation in observation(), more in movements()) {
        let alone = Observation { movements: more.clone(), ..observation.clone() };
        let mut both = observation.clone();
        both.movements.extend(more);
        for by in [Mover::Dma, Mover::Cpu, Mover::Reference, Mover::Cipher] {
            prop_assert_eq!(both.bytes_by(by), observation.bytes_by(by) + alone.bytes_by(by));
        }
        let copies = both.copies();
        prop_assert!((copies.total - copies.cpu - copies.dma).abs() <= 1e-9 * copies.total);
    }

    #[test]
    fn nothing_depends_on_the_order(
        (observation, shuffled) in observation().prop_flat_map(|observation| {
            let shuffled = Just(observation.movements.clone()).prop_shuffle();
            (Just(observation), shuffled)
        })
    ) {
        let other = Observation { movements: shuffled, ..observation.clone() };
        prop_assert_eq!(other.copies(), observation.copies());
        prop_assert_eq!(other.unaccounted(), observation.unaccounted());
        prop_assert_eq!(merge(&other.movements), merge(&observation.movements));
    }

    #[test]
    fn merging_keeps_sums_and_happens_once(movements in movements()) {
        let merged = merge(&movements);
        for by in [Mover::Dma, Mover::Cpu, Mover::Reference, Mover::Cipher] {
            prop_assert_eq!(bytes(&merged, by), bytes(&movements, by));
        }
        let calls = |movements: &[Movement]| movements.iter().map(|m| m.calls).sum::<u64>();
        prop_assert_eq!(calls(&merged), calls(&movements));
        prop_assert_eq!(merge(&merged), merged);
    }

    #[test]
    fn merging_changes_no_result(observation in observation()) {
        let merged =
            Observation { movements: merge(&observation.movements), ..observation.clone() };
        prop_assert_eq!(merged.copies(), observation.copies());
        prop_assert_eq!(merged.unaccounted(), observation.unaccounted());
    }

    #[test]
    fn nothing_is_negative_or_without_a_value(observation in observation()) {
        let copies = observation.copies();
        let switches = observation.per_message(observation.mode_switches());
        for number in [copies.cpu, copies.dma, copies.total, switches] {
            prop_assert!(number.is_finite() && number >= 0.0);
        }
    }

    #[test]
    fn references_ciphers_and_the_receiver_cost_the_sender_no_copy(
        observation in observation(), mut free in movement()
    ) {
        let mut more = observation.clone();
        if free.side == Side::Sender {
            free.by = if free.calls % 2 == 0 { Mover::Reference } else { Mover::Cipher };
        }
        more.movements.push(free);
        prop_assert_eq!(more.copies(), observation.copies());
    }

    #[test]
    fn json_keeps_everything(observation in observation()) {
        let json = serde_json::to_string(&observation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), observation);
    }
}
