//! What the kernel did later for a socket belongs to the flows into it.

use std::collections::BTreeMap;

use super::{Endpoint, Flow, Ledger, Traffic, add};

/// Shares what has no source among the flows into the same destination, by the bytes each brought
/// there: those of the same process, or of any where it has none. What finds no flow stays.
pub fn spread(ledger: Ledger) -> Ledger {
    let (late, mut settled): (Ledger, Ledger) =
        ledger.into_iter().partition(|(flow, _)| flow.source.is_none());
    let arrived = Arrived::of(&settled);
    for (flow, traffic) in late {
        let receivers = arrived.receivers(&flow);
        match receivers.is_empty() {
            true => add(&mut settled, flow, &traffic),
            false => share(&mut settled, &traffic, receivers),
        }
    }
    settled
}

/// The flows that brought something, with their bytes, by where they go to: a server has one of
/// each for thousands of connections.
struct Arrived(BTreeMap<Endpoint, Vec<(Flow, u64)>>);

impl Arrived {
    fn of(ledger: &Ledger) -> Self {
        let mut arrived = BTreeMap::<_, Vec<_>>::new();
        for (flow, traffic) in ledger.iter().filter(|(_, traffic)| traffic.payload_bytes > 0) {
            let into = arrived.entry(flow.destination.clone()).or_default();
            into.push((flow.clone(), traffic.payload_bytes));
        }
        Self(arrived)
    }

    /// The flows into the same destination: of the same process, if there are any.
    fn receivers(&self, late: &Flow) -> Vec<(Flow, u64)> {
        let all = self.0.get(&late.destination).map_or(&[][..], Vec::as_slice);
        let own = all.iter().filter(|(flow, _)| flow.process == late.process);
        let own: Vec<_> = own.cloned().collect();
        if own.is_empty() { all.to_vec() } else { own }
    }
}

fn share(ledger: &mut Ledger, traffic: &Traffic, receivers: Vec<(Flow, u64)>) {
    let weights: Vec<u64> = receivers.iter().map(|(_, bytes)| *bytes).collect();
    for ((flow, _), part) in receivers.into_iter().zip(traffic.split(&weights)) {
        add(ledger, flow, &part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::{cpu_copy, file, flow, late, tcp, total_cpu};
    use crate::ledger::Place;

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
}
