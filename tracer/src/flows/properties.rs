//! What holds for every ledger, whatever is in it.

use proptest::prelude::*;

use super::{
    Calls, Endpoint, Flow, Kind, Ledger, Process, Traffic, add,
    group::{self, Per},
    link, spread, total,
};
use crate::ledger::{Movement, Mover, Place, Provenance, Side};

/// Small enough that no sum overflows.
const MOST: u64 = 1 << 40;

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let kind = prop::sample::select(vec![Kind::File, Kind::Tcp, Kind::Memory, Kind::Pipe]);
    (kind, "[ab]").prop_map(|(kind, name)| match kind {
        Kind::Memory => Endpoint::memory(),
        kind => Endpoint { group: "all".into(), ..Endpoint::new(kind, name) },
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    (1..3u32, prop::option::of(endpoint()), endpoint()).prop_map(|(pid, source, destination)| {
        let process = Process { name: "server".into(), pid: Some(pid), thread: None };
        Flow { process, source, destination }
    })
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
            movements: crate::ledger::merge(&movements),
            ..Traffic::default()
        },
    )
}

prop_compose! {
    fn ledger()(events in prop::collection::vec((flow(), traffic()), 0..12)) -> Ledger {
        let mut ledger = Ledger::new();
        for (flow, traffic) in events {
            add(&mut ledger, flow, &traffic);
        }
        ledger
    }
}

/// A total without what linking gives up on purpose: payload that was read and written on arrived
/// once.
fn moved(ledger: &Ledger) -> Traffic {
    let mut total = Traffic { payload_bytes: 0, linked_bytes: 0, ..total(ledger) };
    total.movements.retain(|movement| movement.bytes > 0 || movement.calls > 0);
    total
}

proptest! {
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
    fn rows_and_what_is_in_none_are_the_whole(ledger in ledger(), per in prop::sample::select(vec![Per::Path, Per::Kind, Per::Process, Per::Connection])) {
        let mut rows = group::unattributed(&ledger);
        for row in group::group(&ledger, per) {
            rows.add(&row.traffic);
        }
        prop_assert_eq!(rows, total(&ledger));
    }
}
