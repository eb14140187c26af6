//! Conservation: what was sent must have entered the socket, once.

use super::{Movement, Mover, Observation, Place, Side};

impl Observation {
    /// Payload bytes that arrived, but that no witness saw entering the sender's socket; negative
    /// when more was seen entering than arrived. Other than 0, the movements do not balance, and
    /// a report has to say so.
    pub fn unaccounted(&self) -> i64 {
        signed(self.payload_bytes).saturating_sub(signed(self.entered_socket()))
    }

    fn entered_socket(&self) -> u64 {
        self.movements.iter().filter(|movement| enters_socket(movement)).map(|m| m.bytes).sum()
    }
}

/// Whether a movement brings the sender's payload into its socket, by copy or by reference.
fn enters_socket(movement: &Movement) -> bool {
    movement.side == Side::Sender
        && movement.to == Place::Socket
        && movement.from != Place::Socket
        && matches!(movement.by, Mover::Cpu | Mover::Reference)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Provenance;

    fn into_socket(from: Place, by: Mover, bytes: u64) -> Movement {
        Movement {
            from,
            to: Place::Socket,
            by,
            side: Side::Sender,
            provenance: Provenance::Measured,
            witness: "tcp_sendmsg_locked".into(),
            bytes,
            calls: 1,
            verified_bytes: None,
        }
    }

    fn sent(payload_bytes: u64, movements: Vec<Movement>) -> Observation {
        Observation { payload_bytes, movements, ..Observation::default() }
    }

    #[test]
    fn copies_and_references_account_for_the_payload() {
        let half_and_half = vec![
            into_socket(Place::User, Mover::Cpu, 40),
            into_socket(Place::PageCache, Mover::Reference, 60),
        ];
        assert_eq!(sent(100, half_and_half).unaccounted(), 0);
    }

    #[test]
    fn missing_bytes_are_positive_and_surplus_is_negative() {
        assert_eq!(sent(100, vec![]).unaccounted(), 100);
        assert_eq!(sent(5, vec![into_socket(Place::User, Mover::Cpu, 7)]).unaccounted(), -2);
    }

    #[test]
    fn the_receiver_and_moves_inside_the_socket_do_not_count() {
        let received =
            Movement { side: Side::Receiver, ..into_socket(Place::Nic, Mover::Reference, 9) };
        let inside = into_socket(Place::Socket, Mover::Cpu, 9);
        assert_eq!(sent(9, vec![received, inside]).unaccounted(), 9);
    }
}
