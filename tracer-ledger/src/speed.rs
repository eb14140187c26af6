//! How fast something is and what it costs the CPU, from several rounds of the same without a probe.

use schemars::JsonSchema;
use serde::Serialize;

/// Bytes of the GB that CPU time is given for.
const GB: f64 = 1e9;
/// Nanoseconds for a MiB, of seconds for a GB.
const NS_PER_MIB: f64 = (1_u64 << 20) as f64;

/// What one round took, no probe being attached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// From the first order, or the first call, until everything had arrived, in seconds.
    pub seconds: f64,
    /// CPU time of the measured process, in seconds.
    pub cpu_seconds: f64,
}

/// Median and extremes of several rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// What follows from the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Speed {
    /// How many rounds without probes there were.
    pub rounds: u64,
    /// Payload bytes a second, from the first call until everything had arrived.
    pub bytes_per_second: Spread,
    /// CPU seconds of the measured process for 10⁹ payload bytes, in user and kernel mode.
    pub cpu_seconds_per_gb: Spread,
}

impl Spread {
    /// Of some numbers; of none, nothing but zeros.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (numbers.first(), numbers.last()) else {
            return Self::default();
        };
        let middle = (numbers.len() - 1) / 2;
        let median = (numbers[middle] + numbers[numbers.len() / 2]) / 2.0;
        Self { median, min, max }
    }

    /// Whether every number is less than every one of another.
    pub fn is_below(&self, other: &Self) -> bool {
        self.max < other.min
    }

    /// Of the same numbers in another unit.
    pub fn scaled(self, factor: f64) -> Self {
        let Self { median, min, max } = self;
        Self { median: median * factor, min: min * factor, max: max * factor }
    }
}

impl Speed {
    /// Of rounds with so many bytes each, if there were some.
    pub fn of(rounds: &[Round], bytes: u64) -> Option<Self> {
        (!rounds.is_empty()).then(|| Self {
            rounds: rounds.len() as u64,
            bytes_per_second: bytes_per_second(rounds, bytes),
            cpu_seconds_per_gb: cpu_seconds_per_gb(rounds, bytes),
        })
    }

    /// CPU time for a MiB, in nanoseconds.
    pub fn cpu_ns_per_mib(&self) -> Spread {
        self.cpu_seconds_per_gb.scaled(NS_PER_MIB)
    }
}

pub(crate) fn bytes_per_second(rounds: &[Round], bytes: u64) -> Spread {
    Spread::of(rounds.iter().map(|round| bytes as f64 / round.seconds))
}

pub(crate) fn cpu_seconds_per_gb(rounds: &[Round], bytes: u64) -> Spread {
    let gb = bytes as f64 / GB;
    Spread::of(rounds.iter().map(|round| round.cpu_seconds / gb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of([]), Spread::default());
    }

    #[test]
    fn spreads_that_touch_are_not_apart() {
        let of = |min, max| Spread::of([min, max]);
        assert!(of(1.0, 2.0).is_below(&of(2.1, 3.0)));
        assert!(!of(1.0, 2.0).is_below(&of(2.0, 3.0)));
        assert!(!of(2.1, 3.0).is_below(&of(1.0, 2.0)));
    }

    #[test]
    fn speed_is_of_the_bytes_of_a_round() {
        let round = |seconds, cpu_seconds| Round { seconds, cpu_seconds };
        let bytes = 1 << 30;
        let speed = Speed::of(&[round(2.0, 0.5), round(1.0, 0.25)], bytes).unwrap();
        assert_eq!(speed.rounds, 2);
        assert_eq!(speed.bytes_per_second.max, bytes as f64);
        // 1024 MiB in a quarter of a second.
        let fastest = speed.cpu_ns_per_mib().min;
        assert!((fastest - 0.25e9 / 1024.0).abs() < 1e-3, "{fastest}");
        assert_eq!(Speed::of(&[], bytes), None);
    }
}
