//! Conservation: for each flow, the bytes that system calls delivered are compared with the movements
//! seen, at both ends. The difference is unseen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Flow, Kind, Ledger, Traffic, medium::Medium};
use crate::{Mover, Place};

/// An end of a flow.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// The end where bytes leave their source.
    Source,
    /// The end where they arrive.
    Destination,
}

/// Payload that was delivered, and that no witness saw move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unseen {
    /// The end.
    pub at: At,
    /// The medium of that end.
    pub medium: Medium,
    /// Whether the program bypassed the page cache.
    pub direct: bool,
    /// The number of bytes.
    pub bytes: u64,
}

impl Unseen {
    /// The reason, in words.
    pub fn reason(&self) -> String {
        match (self.medium, self.at) {
            _ if self.direct => {
                "what devices are given to write past the page cache is not counted".to_owned()
            }
            (medium, _) if medium.shares_blocks() => {
                format!("no witness for {medium}, where files may also share their blocks")
            }
            (medium, At::Source) if medium.has_pages() => {
                "no witness saw how it left its source".to_owned()
            }
            (medium, At::Destination) if medium.has_pages() => {
                "no witness saw how it arrived".to_owned()
            }
            (medium, _) => format!("no witness for {medium}"),
        }
    }

    /// The reason, for programs.
    pub fn code(&self) -> &'static str {
        if self.direct { "direct-io" } else { self.medium.code() }
    }
}

/// Compares every flow's payload with its movements, and records the missing bytes. Bytes that were read
/// and written on left their source in the flow that read them.
pub fn balance(ledger: &mut Ledger) {
    for (flow, traffic) in ledger.iter_mut().filter(|(flow, _)| flow.is_data()) {
        traffic.unseen = unseen(flow, traffic);
    }
}

fn unseen(flow: &Flow, traffic: &Traffic) -> Vec<Unseen> {
    let Some(source) = &flow.source else { return Vec::new() };
    let destination = &flow.destination;
    let ends = [(At::Source, source), (At::Destination, destination)];
    let missing = |(at, end): (At, &Endpoint)| {
        let delivered = match at {
            At::Source => traffic.payload_bytes.saturating_sub(traffic.linked_bytes),
            At::Destination => traffic.payload_bytes,
        };
        // Bytes without a real destination need not be read.
        let goes_nowhere = at == At::Source && destination.medium.moves_nothing();
        if end.kind == Kind::Memory || end.medium.moves_nothing() || goes_nowhere {
            return None;
        }
        let bytes = delivered.saturating_sub(seen(at, end, traffic));
        let direct = at == At::Destination && traffic.direct_bytes > 0;
        (bytes > 0).then_some(Unseen { at, medium: end.medium, direct, bytes })
    };
    ends.into_iter().filter_map(missing).collect()
}

/// Bytes that were seen to leave an end, or to arrive there.
fn seen(at: At, end: &Endpoint, traffic: &Traffic) -> u64 {
    let is_there = |place: Place| match end.kind {
        Kind::File => matches!(place, Place::PageCache | Place::Kernel),
        Kind::Tcp | Kind::Udp | Kind::Unix => place == Place::Socket,
        // A pipe holds pages of other objects.
        Kind::Pipe if at == At::Source => !matches!(place, Place::Nic | Place::Disk),
        Kind::Pipe => place == Place::Pipe,
        Kind::Other => !matches!(place, Place::User | Place::Nic | Place::Disk),
        Kind::Memory => place == Place::User,
    };
    let moves = traffic.movements.iter().filter(|movement| match (at, movement.by) {
        // A device may read ahead into the page cache; past it, it writes into the program's memory.
        (At::Source, Mover::Dma) => (movement.from, movement.to) == (Place::Disk, Place::User),
        (At::Source, Mover::Cpu | Mover::Reference) => is_there(movement.from),
        (At::Destination, Mover::Cpu | Mover::Reference) => is_there(movement.to),
        _ => false,
    });
    let bytes = moves.map(|movement| movement.bytes).sum();
    match (at, end.kind) {
        // The kernel encrypts on the way into the socket, and the encrypted bytes arrive there.
        (At::Destination, Kind::Tcp) => bytes_encrypted(traffic).max(bytes),
        _ => bytes,
    }
}

fn bytes_encrypted(traffic: &Traffic) -> u64 {
    traffic.bytes_by(Mover::Cipher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Movement,
        flows::tests::{cpu_copy, file, flow, tcp},
    };

    const PROC: Medium = Medium::FileSystem(0x9fa0);

    fn on(medium: Medium, end: Endpoint) -> Endpoint {
        Endpoint { medium, ..end }
    }

    fn balanced(flow: Flow, traffic: Traffic) -> Vec<(At, u64)> {
        let mut ledger = Ledger::from([(flow, traffic)]);
        balance(&mut ledger);
        let unseen = ledger.into_values().flat_map(|traffic| traffic.unseen);
        unseen.map(|unseen| (unseen.at, unseen.bytes)).collect()
    }

    fn delivered(bytes: u64, movements: Vec<Movement>) -> Traffic {
        Traffic { payload_bytes: bytes, movements, ..Traffic::default() }
    }

    #[test]
    fn what_was_seen_to_move_balances() {
        let read = flow(file("a"), Endpoint::memory());
        let copied = || vec![cpu_copy(Place::PageCache, Place::User, 100)];
        assert_eq!(balanced(read.clone(), delivered(100, copied())), []);
        let short = delivered(120, copied());
        assert_eq!(balanced(read, short), [(At::Source, 20)]);
    }

    #[test]
    fn nothing_seen_is_unseen_at_both_ends() {
        let sent = flow(on(PROC, file("a")), tcp(1));
        let ends = [(At::Source, 9), (At::Destination, 9)];
        assert_eq!(balanced(sent, delivered(9, vec![])), ends);
    }

    #[test]
    fn what_was_read_before_left_its_source_then() {
        let moved = vec![cpu_copy(Place::User, Place::Socket, 100)];
        let written = Traffic { linked_bytes: 100, ..delivered(100, moved) };
        assert_eq!(balanced(flow(file("a"), tcp(1)), written), []);
    }

    #[test]
    fn nothing_moves_where_nothing_can() {
        let null = on(Medium::Character(1, 3), Endpoint::new(Kind::Other, "/dev/null"));
        assert_eq!(balanced(flow(Endpoint::memory(), null.clone()), delivered(9, vec![])), []);
        assert_eq!(balanced(flow(null.clone(), Endpoint::memory()), delivered(9, vec![])), []);
        assert_eq!(balanced(flow(file("a"), null), delivered(9, vec![])), []);
        let zero = on(Medium::Character(1, 5), Endpoint::new(Kind::Other, "/dev/zero"));
        let written = balanced(flow(zero, file("a")), delivered(9, vec![]));
        assert_eq!(written, [(At::Destination, 9)], "zeros are copied, too");
        let tun = on(Medium::Character(10, 200), Endpoint::new(Kind::Other, "/dev/net/tun"));
        let unseen = balanced(flow(Endpoint::memory(), tun), delivered(9, vec![]));
        assert_eq!(unseen, [(At::Destination, 9)]);
    }

    #[test]
    fn a_device_that_wrote_into_the_program_was_seen() {
        let direct = Movement { by: Mover::Dma, ..cpu_copy(Place::Disk, Place::User, 9) };
        let read = flow(file("a"), Endpoint::memory());
        assert_eq!(balanced(read.clone(), delivered(9, vec![direct])), []);
        let ahead = Movement { by: Mover::Dma, ..cpu_copy(Place::Disk, Place::PageCache, 9) };
        assert_eq!(balanced(read, delivered(9, vec![ahead])), [(At::Source, 9)]);
    }

    proptest::proptest! {
        #[test]
        fn delivered_is_seen_and_unseen(delivered_bytes in 0u64..1000, parts in proptest::collection::vec(0u64..400, 0..5)) {
            let movements: Vec<_> =
                parts.iter().map(|bytes| cpu_copy(Place::PageCache, Place::Socket, *bytes)).collect();
            let seen: u64 = parts.iter().sum();
            let unseen = balanced(flow(file("a"), tcp(1)), delivered(delivered_bytes, movements));
            for at in [At::Source, At::Destination] {
                let missing: u64 = unseen.iter().filter(|it| it.0 == at).map(|it| it.1).sum();
                proptest::prop_assert_eq!(missing, delivered_bytes.saturating_sub(seen));
            }
        }
    }
}
