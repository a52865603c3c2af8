//! Divides an order's subtotal among its lines, by the largest remainder method.
//!
//! A plugin rounds each line's price per unit, so the prices do not add up to the
//! subtotal. The subtotal is exact, and the prices are only weights: each line gets its
//! share of the subtotal, in whole minor units.

/// Divides `total` by `weights`: one share per weight, in the same order. Their sum is
/// `total`.
///
/// Each share is the exact one rounded down or up: up for the largest remainders, and for
/// the earlier ones of equal remainders. If all weights are zero, the first share is the
/// total. Without weights there are no shares.
pub(crate) fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = total;

    for (index, weight) in weights.iter().copied().enumerate() {
        // Below 2^128: both factors are below 2^64.
        let product = u128::from(total).saturating_mul(u128::from(weight));
        let share = product
            .checked_div(sum)
            .and_then(|share| u64::try_from(share).ok())
            .unwrap_or_default();
        left = left.saturating_sub(share);
        shares.push(share);
        remainders.push((index, product.checked_rem(sum).unwrap_or_default()));
    }
    if sum == 0 {
        shares.iter_mut().take(1).for_each(|first| *first = total);
        return shares;
    }

    // At most one unit for each remainder above zero is left, since each is less than a
    // unit.
    remainders.sort_by_key(|(_, remainder)| std::cmp::Reverse(*remainder));
    let rounded_up = usize::try_from(left).unwrap_or(usize::MAX);
    for (index, _) in remainders.into_iter().take(rounded_up) {
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(1);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

    use super::super::tests::Random;
    use super::apportion;

    #[test]
    fn shares_are_the_exact_ones_rounded() {
        for (total, weights, expected) in [
            (300, &[4300, 1400, 2300][..], &[161, 53, 86][..]),
            (100, &[1, 1, 1], &[34, 33, 33]),
            (2, &[1, 1, 1], &[1, 1, 0]),
            (1, &[1, 2], &[0, 1]),
            (0, &[3, 4], &[0, 0]),
            (7, &[0, 5, 0], &[0, 7, 0]),
            (7, &[0, 0], &[7, 0]),
            (7, &[], &[]),
            (u64::MAX, &[u64::MAX, u64::MAX], &[u64::MAX / 2 + 1, u64::MAX / 2]),
            (u64::MAX, &[1, u64::MAX], &[1, u64::MAX - 1]),
        ] {
            assert_eq!(apportion(total, weights), expected, "{total} over {weights:?}");
        }
    }

    #[test]
    fn apportioned_amounts_always_add_up_and_differ_by_less_than_one() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let weights: Vec<u64> = (0..random.below(9)).map(|_| weight(&mut random)).collect();
            let total = weight(&mut random);
            let shares = apportion(total, &weights);
            assert_eq!(shares.len(), weights.len());
            assert_eq!(
                sum(&shares),
                if weights.is_empty() { 0 } else { u128::from(total) },
                "{total} over {weights:?}"
            );

            let all_weights = sum(&weights);
            for (share, weight) in shares.iter().zip(&weights).filter(|_| all_weights > 0) {
                let exact = u128::from(total) * u128::from(*weight);
                let (down, up) = (exact / all_weights, exact.div_ceil(all_weights));
                assert!(
                    (down..=up).contains(&u128::from(*share)),
                    "{share} of {total} over {weights:?}"
                );
            }

            for index in 1..shares.len() {
                let equal = weights[index - 1] == weights[index];
                assert!(
                    !equal || shares[index - 1] >= shares[index],
                    "{total} over {weights:?}: {shares:?}"
                );
            }
        }
    }

    /// Small weights, so that many are equal or zero, and some as large as the amounts of
    /// an order.
    fn weight(random: &mut Random) -> u64 {
        let most = [1, 3, 20, 1_000, 10_u64.pow(15)][usize::try_from(random.below(5)).unwrap()];
        random.below(most + 1)
    }

    fn sum(numbers: &[u64]) -> u128 {
        numbers.iter().map(|number| u128::from(*number)).sum()
    }
}
