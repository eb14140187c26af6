//! Medians, ranges, ratios.

use serde::Serialize;

/// The middle of several numbers, and the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or halfway between the middle two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of these; none of none.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = numbers.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (min, max) = (*all.first()?, *all.last()?);
        let (below, above) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
        Some(Self { median: f64::midpoint(below, above), min, max })
    }
}

/// Each number by the one of the same round; a round that lacks one is left out.
pub fn ratios(numbers: &[Option<f64>], to: &[Option<f64>]) -> Vec<f64> {
    let pairs = numbers.iter().zip(to);
    pairs.filter_map(|(number, to)| Some((*number)? / (*to)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of([3.0, 1.0, 8.0]), spread(3.0, 1.0, 8.0));
        assert_eq!(Spread::of([4.0, 1.0, 8.0, 2.0]), spread(3.0, 1.0, 8.0));
        assert_eq!(Spread::of([7.0]), spread(7.0, 7.0, 7.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let traced = [Some(50.0), None, Some(10.0)];
        let untraced = [Some(100.0), Some(1.0), Some(40.0)];
        assert_eq!(ratios(&traced, &untraced), [0.5, 0.25]);
    }
}
