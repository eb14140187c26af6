//! The kernel's late work for a socket belongs to the flows into it.

use std::collections::BTreeMap;

use super::{Endpoint, Flow, Ledger, Process, Traffic, add};

/// Shares traffic without a source among the flows into the same destination, by their bytes: flows of
/// the same process, or of any process where it has none. Traffic that finds no flow stays.
pub fn spread(ledger: Ledger) -> Ledger {
    let (late, mut settled): (Ledger, Ledger) =
        ledger.into_iter().partition(|(flow, _)| flow.source.is_none());
    let arrived = arrived(&settled);
    // The shares of the same flows are added up first: there may be as many as flows.
    let mut shared = BTreeMap::<_, Traffic>::new();
    for (flow, traffic) in late {
        match arrived.get_key_value(&flow.destination) {
            None => add(&mut settled, flow, &traffic),
            Some((destination, by_process)) => {
                let own = by_process.get_key_value(&flow.process).map(|(process, _)| process);
                shared.entry((destination, own)).or_default().add(&traffic);
            }
        }
    }
    for ((destination, own), traffic) in shared {
        let flows = arrived[destination].iter();
        let flows = flows.filter(|(process, _)| own.is_none_or(|own| own == *process));
        share(&mut settled, &traffic, flows.flat_map(|(_, flows)| flows));
    }
    settled
}

/// The flows with their bytes, by destination and process: a server has one entry for thousands of
/// connections.
type Arrived = BTreeMap<Endpoint, BTreeMap<Process, Vec<(Flow, u64)>>>;

fn arrived(ledger: &Ledger) -> Arrived {
    let mut arrived = Arrived::new();
    for (flow, traffic) in ledger.iter().filter(|(_, traffic)| traffic.payload_bytes > 0) {
        let into = arrived.entry(flow.destination.clone()).or_default();
        let own = into.entry(flow.process.clone()).or_default();
        own.push((flow.clone(), traffic.payload_bytes));
    }
    arrived
}

fn share<'a>(
    ledger: &mut Ledger,
    traffic: &Traffic,
    receivers: impl Iterator<Item = &'a (Flow, u64)> + Clone,
) {
    let weights: Vec<u64> = receivers.clone().map(|(_, bytes)| *bytes).collect();
    for ((flow, _), part) in receivers.zip(traffic.split(&weights)) {
        add(ledger, flow.clone(), &part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use crate::flows::tests::{cpu_copy, file, flow, late, tcp, total_cpu};

    fn sent(bytes: u64) -> Traffic {
        Traffic { payload_bytes: bytes, ..Traffic::default() }
    }

    #[test]
    fn packets_belong_to_what_was_sent_in_them() {
        let copied = Traffic {
            movements: vec![cpu_copy(Place::Socket, Place::Kernel, 100)],
            ..Traffic::default()
        };
        let ledger = Ledger::from([
            (flow(file("a"), tcp(1)), sent(75)),
            (flow(Endpoint::memory(), tcp(1)), sent(25)),
            (flow(file("a"), tcp(2)), sent(1000)),
            (late(tcp(1)), copied.clone()),
            (late(tcp(3)), copied),
        ]);
        let spread = spread(ledger);
        assert_eq!(total_cpu(&spread[&flow(file("a"), tcp(1))]), 75);
        assert_eq!(total_cpu(&spread[&flow(Endpoint::memory(), tcp(1))]), 25);
        assert_eq!(total_cpu(&spread[&flow(file("a"), tcp(2))]), 0);
        assert_eq!(total_cpu(&spread[&late(tcp(3))]), 100, "it belongs to nobody who is known");
    }

    #[test]
    fn what_many_processes_share_with_many_is_soon_shared() {
        let of =
            |pid, flow: Flow| Flow { process: Process { pid: Some(pid), ..flow.process }, ..flow };
        let arrived = (0..9999).map(|pid| (of(pid, flow(file("a"), tcp(1))), sent(1)));
        let packets = Traffic { nic_header_bytes: 1, ..Traffic::default() };
        let later = (10_000..19_999).map(|pid| (of(pid, late(tcp(1))), packets.clone()));
        let spread = spread(arrived.chain(later).collect());
        assert_eq!(spread.len(), 9999);
        assert!(spread.values().all(|traffic| traffic.nic_header_bytes == 1));
    }
}
