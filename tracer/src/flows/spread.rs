//! What the kernel did later for a socket belongs to the flows into it.

use super::{Flow, Ledger, Traffic, add};

/// Shares what has no source among the flows into the same destination, by the bytes each brought
/// there: those of the same process, or of any where it has none. What finds no flow stays.
pub fn spread(ledger: Ledger) -> Ledger {
    let (late, mut settled): (Ledger, Ledger) =
        ledger.into_iter().partition(|(flow, _)| flow.source.is_none());
    for (flow, traffic) in late {
        let receivers = receivers(&settled, &flow);
        match receivers.is_empty() {
            true => add(&mut settled, flow, &traffic),
            false => share(&mut settled, &traffic, receivers),
        }
    }
    settled
}

/// The flows into the same destination, with their bytes.
fn receivers(ledger: &Ledger, late: &Flow) -> Vec<(Flow, u64)> {
    let into = |same_process: bool| -> Vec<(Flow, u64)> {
        let same = ledger.iter().filter(|(flow, traffic)| {
            flow.destination == late.destination
                && traffic.payload_bytes > 0
                && (!same_process || flow.process == late.process)
        });
        same.map(|(flow, traffic)| (flow.clone(), traffic.payload_bytes)).collect()
    };
    let own = into(true);
    if own.is_empty() { into(false) } else { own }
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
    use crate::flows::{
        Endpoint,
        tests::{cpu_copy, file, flow, late, tcp, total_cpu},
    };
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
