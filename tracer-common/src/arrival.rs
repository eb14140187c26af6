//! Ranges of a TCP connection's bytes that have arrived before. Packets may arrive out of order: each
//! processor has a queue of its own, and their sender may change processors.

/// How many holes are remembered.
const HOLES: usize = 4;

/// Sequence numbers from `start` up to, not with, `end`; they wrap.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start: u32,
    end: u32,
}

impl Range {
    #[inline(always)]
    fn contains(self, sequence: u32) -> bool {
        sequence.wrapping_sub(self.start) < self.end.wrapping_sub(self.start)
    }
}

/// The bytes that have arrived: all before `next`, but for the holes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// 0 before the first packet.
    known: u32,
    next: u32,
    /// Where the next hole is put.
    newest: u32,
    holes: [Range; HOLES],
}

impl Arrived {
    /// No byte has arrived.
    pub const NOTHING: Self =
        Self { known: 0, next: 0, newest: 0, holes: [Range { start: 0, end: 0 }; HOLES] };

    /// Notes a packet that arrives, whose first byte has the sequence number `start`. Returns whether it
    /// arrives for the first time. Only the last few holes are known.
    #[inline(always)]
    pub fn is_first(&mut self, start: u32, bytes: u32) -> bool {
        let end = start.wrapping_add(bytes);
        if self.known == 0 {
            (self.known, self.next) = (1, start);
        }
        if start.wrapping_sub(self.next).cast_signed() >= 0 {
            self.remember(Range { start: self.next, end: start });
            self.next = end;
            return true;
        }
        for index in 0..HOLES {
            let hole = self.holes[index];
            if hole.contains(start) {
                self.holes[index].end = start;
                if hole.contains(end) {
                    self.remember(Range { start: end, end: hole.end });
                }
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn remember(&mut self, hole: Range) {
        if hole.start != hole.end {
            self.holes[self.newest as usize % HOLES] = hole;
            self.newest = self.newest.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Packets of 100 bytes that start there: whether each arrives for the first time.
    fn arrive(starts: &[u32]) -> Vec<bool> {
        let mut arrived = Arrived::NOTHING;
        starts.iter().map(|&start| arrived.is_first(start, 100)).collect()
    }

    #[test]
    fn in_order() {
        assert_eq!(arrive(&[500, 600, 700]), [true; 3]);
        assert_eq!(arrive(&[u32::MAX - 149, u32::MAX - 49, 50]), [true; 3], "they wrap");
    }

    #[test]
    fn what_is_sent_again_arrives_again() {
        assert_eq!(arrive(&[500, 600, 500, 600, 700]), [true, true, false, false, true]);
    }

    #[test]
    fn overtaken_packets_arrive_once() {
        assert_eq!(arrive(&[0, 300, 100, 200, 100, 400]), [true, true, true, true, false, true]);
        let backwards = [0, 300, 200, 100, 200, 300, 100];
        assert_eq!(arrive(&backwards), [true, true, true, true, false, false, false]);
    }

    #[test]
    fn another_order_of_wrapping_numbers() {
        let base = u32::MAX - 250;
        let packets = [0, 500, 100, 400, 300, 200].map(|offset: u32| base.wrapping_add(offset));
        assert_eq!(arrive(&packets), [true; 6]);
        let twice: Vec<u32> = packets.into_iter().chain(packets).collect();
        assert_eq!(arrive(&twice)[6..], [false; 6]);
    }
}
