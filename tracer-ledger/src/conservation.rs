//! Conservation: what arrived must have been seen getting there, once.

use super::{Movement, Mover, Observation, Place};

impl Observation {
    /// Payload bytes that arrived, but that no witness saw on their way to where the route delivers
    /// them; negative when more was seen than arrived. Other than 0, the movements do not balance,
    /// and a report has to say so.
    pub fn unaccounted(&self) -> i64 {
        signed(self.payload_bytes).saturating_sub(signed(self.delivered()))
    }

    fn delivered(&self) -> u64 {
        let delivered = self.movements.iter().filter(|movement| self.route.delivers(movement));
        delivered.map(|movement| movement.bytes).sum::<u64>() - self.framing()
    }

    /// The framing of encrypted payload on its way into the socket, such as TLS's headers and tags: bytes
    /// that the kernel adds to those it encrypted.
    fn framing(&self) -> u64 {
        let sum = |wanted: &dyn Fn(&Movement) -> bool| -> u64 {
            self.sent().filter(|movement| wanted(movement)).map(|movement| movement.bytes).sum()
        };
        let from_kernel = |m: &Movement| self.route.delivers(m) && m.from == Place::Kernel;
        match sum(&|movement| movement.by == Mover::Cipher) {
            0 => 0,
            ciphered => sum(&from_kernel).saturating_sub(ciphered),
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Provenance, Side, workload::Route};

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
    fn what_frames_enciphered_payload_is_no_payload() {
        let ciphered = |bytes| Movement {
            to: Place::Kernel,
            ..into_socket(Place::PageCache, Mover::Cipher, bytes)
        };
        let framed = into_socket(Place::Kernel, Mover::Reference, 129);
        assert_eq!(sent(100, vec![ciphered(100), framed.clone()]).unaccounted(), 0);
        // Missing payload stays missing.
        assert_eq!(sent(100, vec![ciphered(90), framed.clone()]).unaccounted(), 10);
        assert_eq!(sent(100, vec![ciphered(100)]).unaccounted(), 100);
        assert_eq!(sent(100, vec![framed]).unaccounted(), -29);
    }

    #[test]
    fn a_file_is_reached_in_its_page_cache_or_on_the_disk() {
        let to_file = |from, to, by| Movement { to, ..into_socket(from, by, 100) };
        let unaccounted = |movement| {
            let route = Route::FileToFile;
            Observation { route, ..sent(100, vec![movement]) }.unaccounted()
        };
        use Place::{Disk, PageCache, Pipe, Socket, User};
        assert_eq!(unaccounted(to_file(User, PageCache, Mover::Cpu)), 0);
        assert_eq!(unaccounted(to_file(PageCache, PageCache, Mover::Cpu)), 0);
        assert_eq!(unaccounted(to_file(Disk, Disk, Mover::Reference)), 0);
        assert_eq!(unaccounted(to_file(Disk, PageCache, Mover::Dma)), 100);
        assert_eq!(unaccounted(to_file(PageCache, Pipe, Mover::Reference)), 100);
        assert_eq!(unaccounted(to_file(User, Socket, Mover::Cpu)), 100);
    }

    #[test]
    fn a_process_is_reached_by_its_own_copy_or_by_one_into_shared_memory() {
        let copy = |side, from, to| Movement { side, to, ..into_socket(from, Mover::Cpu, 100) };
        let unaccounted = |movement| {
            let route = Route::ProcessToProcess;
            Observation { route, ..sent(100, vec![movement]) }.unaccounted()
        };
        assert_eq!(unaccounted(copy(Side::Receiver, Place::Pipe, Place::User)), 0);
        assert_eq!(unaccounted(copy(Side::Sender, Place::User, Place::User)), 0);
        assert_eq!(unaccounted(copy(Side::Sender, Place::User, Place::Pipe)), 100);
    }

    #[test]
    fn what_is_received_is_copied_or_mapped_or_goes_to_a_file() {
        let moved =
            |to, by| Movement { side: Side::Receiver, to, ..into_socket(Place::Socket, by, 100) };
        let unaccounted = |movement| {
            let route = Route::Receive;
            Observation { route, ..sent(100, vec![movement]) }.unaccounted()
        };
        assert_eq!(unaccounted(moved(Place::User, Mover::Cpu)), 0);
        assert_eq!(unaccounted(moved(Place::User, Mover::Reference)), 0);
        assert_eq!(unaccounted(moved(Place::PageCache, Mover::Cpu)), 0);
        assert_eq!(unaccounted(moved(Place::Pipe, Mover::Reference)), 100);
    }

    #[test]
    fn the_receiver_and_moves_inside_the_socket_do_not_count() {
        let received =
            Movement { side: Side::Receiver, ..into_socket(Place::Nic, Mover::Reference, 9) };
        let inside = into_socket(Place::Socket, Mover::Cpu, 9);
        assert_eq!(sent(9, vec![received, inside]).unaccounted(), 9);
    }
}
