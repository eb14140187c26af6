//! Properties of every ledger, whatever its content.

use proptest::prelude::*;

use super::{
    Calls, Endpoint, Flow, Kind, Ledger, Process, Traffic, add,
    derive::{Witnesses, derive},
    digest::{Sort, digest},
    group::{self, Per},
    link, settle, spread, total,
};
use crate::{
    Movement, Mover, Place, Provenance, Side, Tier,
    report::{
        Where,
        flows::{Environment, FlowRow, Recording, Report},
    },
};

/// Small enough that no sum overflows.
const MOST: u64 = 1 << 40;

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let kind = prop::sample::select(vec![Kind::File, Kind::Tcp, Kind::Memory, Kind::Pipe]);
    (kind, "[ab]", prop::option::of(3..5u32)).prop_map(|(kind, name, descriptor)| match kind {
        Kind::Memory => Endpoint::memory(),
        kind => Endpoint { group: "all".into(), descriptor, ..Endpoint::new(kind, name) },
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    let process = ("[st]", 1..3u32, prop::option::of(1..3u32));
    let process = process.prop_map(|(name, pid, thread)| Process { name, pid: Some(pid), thread });
    (process, prop::option::of(endpoint()), endpoint())
        .prop_map(|(process, source, destination)| Flow { process, source, destination })
}

fn movement() -> impl Strategy<Value = Movement> {
    use Place::*;
    let place = || prop::sample::select(vec![PageCache, User, Socket, Nic, Kernel]);
    let by = prop::sample::select(vec![Mover::Cpu, Mover::Dma, Mover::Reference]);
    (place(), place(), by, 0..MOST, 0..99u64).prop_map(|(from, to, by, bytes, calls)| Movement {
        from,
        to,
        by,
        side: Side::Sender,
        provenance: Provenance::Measured,
        witness: "witness".into(),
        bytes,
        calls,
        verified_bytes: Some(bytes),
    })
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let movements = prop::collection::vec(movement(), 0..3);
    (0..MOST, 0..MOST, 0..99u64, "[rw]", movements).prop_map(
        |(payload_bytes, linked, count, name, movements)| Traffic {
            payload_bytes,
            linked_bytes: linked.min(payload_bytes),
            page_faults_user: count,
            calls: [(name, Calls { count, bytes: payload_bytes })].into(),
            movements: crate::merge(&movements),
            ..Traffic::default()
        },
    )
}

fn events() -> impl Strategy<Value = Vec<(Flow, Traffic)>> {
    prop::collection::vec((flow(), traffic()), 0..12)
}

/// A recorder's ledger of events in their order.
fn recorded<'a>(events: impl IntoIterator<Item = &'a (Flow, Traffic)>) -> Ledger {
    let mut ledger = Ledger::new();
    for (flow, traffic) in events {
        add(&mut ledger, flow.clone(), traffic);
    }
    ledger
}

fn ledger() -> impl Strategy<Value = Ledger> {
    events().prop_map(|events| recorded(&events))
}

fn per() -> impl Strategy<Value = Per> {
    prop::sample::select(&Per::ALL[..])
}

fn witnesses() -> impl Strategy<Value = Witnesses> {
    (any::<bool>(), any::<bool>()).prop_map(|(copies, references)| Witnesses { copies, references })
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a Traffic>) -> Traffic {
    let mut sum = Traffic::default();
    for part in parts {
        sum.add(part);
    }
    sum
}

/// Without movements of no bytes.
fn tidy(mut traffic: Traffic) -> Traffic {
    traffic.movements.retain(|movement| movement.bytes > 0 || movement.calls > 0);
    traffic.calls.retain(|_, calls| *calls != Calls::default());
    traffic
}

/// A total without the payload that linking drops on purpose: bytes that were read and written on arrived
/// once.
fn moved(ledger: &Ledger) -> Traffic {
    tidy(Traffic { payload_bytes: 0, linked_bytes: 0, ..total(ledger) })
}

proptest! {
    #[test]
    fn a_ledger_is_the_sum_of_its_events_in_whatever_order_they_come(
        (events, shuffled) in events().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle()))
    ) {
        let ledger = recorded(&events);
        let all = sum(events.iter().map(|(_, traffic)| traffic));
        prop_assert_eq!(total(&ledger), all);
        prop_assert_eq!(recorded(&shuffled), ledger);
    }

    #[test]
    fn the_parts_of_a_division_are_the_whole(
        whole in traffic(),
        weights in prop::collection::vec(0..MOST, 1..6),
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let parts = whole.split(&weights);
        prop_assert_eq!(parts.len(), weights.len());
        for (part, weight) in parts.iter().zip(&weights) {
            prop_assert!(*weight > 0 || *part == Traffic::default(), "something for no weight");
        }
        prop_assert_eq!(tidy(sum(&parts)), tidy(whole));
    }

    #[test]
    fn deriving_changes_nothing_that_was_measured(ledger in ledger(), witnesses in witnesses()) {
        let measured = |ledger: &Ledger| {
            let mut all = total(ledger);
            all.movements.retain(|movement| movement.provenance == Provenance::Measured);
            all
        };
        let mut derived = ledger.clone();
        derive(&mut derived, witnesses);
        prop_assert_eq!(measured(&derived), measured(&ledger));
    }

    #[test]
    fn linking_makes_and_loses_no_byte_that_moved(ledger in ledger()) {
        let before = moved(&ledger);
        prop_assert_eq!(moved(&link::link(ledger)), before);
    }

    #[test]
    fn spreading_makes_and_loses_nothing(ledger in ledger()) {
        let before = (moved(&ledger), total(&ledger).payload_bytes);
        let spread = spread::spread(ledger);
        prop_assert_eq!((moved(&spread), total(&spread).payload_bytes), before);
    }

    #[test]
    fn folding_makes_and_loses_nothing(ledger in ledger()) {
        let before = total(&ledger);
        let folded = group::fold(ledger);
        prop_assert_eq!(total(&folded), before);
        // Folding is idempotent.
        prop_assert_eq!(group::fold(folded.clone()), folded);
    }

    #[test]
    fn rows_and_what_is_in_none_are_the_whole(
        ledger in ledger(),
        per in per(),
        witnesses in witnesses(),
    ) {
        let settled = settle(ledger, witnesses);
        let rows = group::group(&settled, per);
        let in_rows = sum(rows.iter().map(|row| &row.traffic));
        let all = sum([&in_rows, &group::unattributed(&settled)]);
        prop_assert_eq!(all, total(&settled));
        let flows: u64 = rows.iter().map(|row| row.flows).sum();
        prop_assert!(flows <= settled.len() as u64);
    }

    #[test]
    fn rows_in_short_are_all_rows_and_nearly_all_bytes_are_shown(
        events in prop::collection::vec((flow(), traffic()), 0..60),
        per in per(),
        witnesses in witnesses(),
    ) {
        let rows = group::group(&settle(recorded(&events), witnesses), per);
        let digest = digest(&rows, per, Sort::Payload, None);
        let shown = sum(digest.shown.iter().map(|entry| &entry.row.traffic));
        let left_out = sum(digest.left_out.iter().map(|entry| &entry.row.traffic));
        let all = sum(rows.iter().map(|row| &row.traffic));
        prop_assert!(shown.payload_bytes as f64 >= 0.95 * all.payload_bytes as f64);
        prop_assert_eq!(sum([&shown, &left_out]), all);
        let entries = digest.shown.iter().chain(&digest.left_out);
        let counts = entries.clone().map(|entry| entry.rows).sum::<u64>();
        prop_assert_eq!(counts, rows.len() as u64);
        let flows = |rows: &mut dyn Iterator<Item = &group::Row>| rows.map(|row| row.flows).sum::<u64>();
        prop_assert_eq!(flows(&mut entries.map(|entry| &entry.row)), flows(&mut rows.iter()));
    }

    #[test]
    fn a_report_adds_up(ledger in ledger(), per in per(), witnesses in witnesses()) {
        let environment = Environment {
            kernel: "any".into(),
            where_: Where::Host,
            tier: Tier::Kprobe,
            cycles: false,
        emulated: false,
        };
        let recording = Recording::new(environment, "any".into(), 1, ledger, witnesses);
        let report = Report::new(&recording, per);
        let settled = settle(recording.ledger, witnesses);
        let rest = group::unattributed(&settled);
        let rows = |of: fn(&FlowRow) -> u64| report.flows.iter().map(of).sum::<u64>();
        let payload = rows(|row| row.payload_bytes);
        prop_assert_eq!(payload + rest.payload_bytes, report.total.payload_bytes);
        let calls = rows(|row| row.syscalls.values().sum());
        prop_assert_eq!(calls + rest.syscalls(), report.total.syscalls);
        let copied = |row: &FlowRow| {
            let copies = row.movements.iter().filter(|movement| movement.by == Mover::Cpu);
            copies.map(|movement| movement.bytes).sum()
        };
        let copied = rows(copied) + rest.bytes_by(Mover::Cpu);
        prop_assert_eq!(copied, report.total.cpu_copied_bytes);
    }
}
