//! Dividing a whole number without a remainder.

/// Divides `whole` into parts in proportion to the weights, which add up to it exactly: each part keeps
/// the running sum right. Without any weight the first part gets everything.
pub fn apportion(whole: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return (0..weights.len()).map(|index| if index == 0 { whole } else { 0 }).collect();
    }
    let (mut seen, mut given) = (0u128, 0u64);
    weights
        .iter()
        .map(|weight| {
            seen += u128::from(*weight);
            let until_here = until(whole, seen, total);
            let part = until_here - given;
            given = until_here;
            part
        })
        .collect()
}

/// `whole * seen / total`, of `seen` ≤ `total`. Large weights could overflow the product: then both lose
/// the same low bits.
fn until(whole: u64, seen: u128, total: u128) -> u64 {
    let spare = total.leading_zeros().min(64);
    let (seen, total) = (seen >> (64 - spare), total >> (64 - spare));
    u64::try_from(u128::from(whole) * seen / total).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_lost_to_rounding() {
        assert_eq!(apportion(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(apportion(7, &[0, 5, 0]), [0, 7, 0]);
        assert_eq!(apportion(7, &[0, 0]), [7, 0]);
        assert_eq!(apportion(u64::MAX, &[u64::MAX, u64::MAX]), [u64::MAX / 2, u64::MAX / 2 + 1]);
    }

    proptest! {
        #[test]
        fn parts_add_up(whole: u64, weights in prop::collection::vec(any::<u64>(), 1..9)) {
            prop_assert_eq!(apportion(whole, &weights).iter().sum::<u64>(), whole);
        }
    }
}
