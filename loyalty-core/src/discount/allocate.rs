//! Shares of a discount, exact to the minor unit.

use std::cmp::Reverse;

/// Divides `total` in proportion to `weights`, all in minor units.
///
/// The method is that of the largest remainder; of equal remainders the earlier one is
/// rounded up. The shares add up to `total`, and no share exceeds its weight. Returns `None`
/// if the weights add up to less than `total`.
///
/// # Example: 300 over 4300, 1400 and 2300
/// ```
/// use loyalty_core::discount::allocate;
/// assert_eq!(allocate(300, &[4300, 1400, 2300]), Some(vec![161, 53, 86]));
/// assert_eq!(allocate(2, &[1, 1, 1]), Some(vec![1, 1, 0]));
/// assert_eq!(allocate(4, &[1, 1, 1]), None);
/// ```
pub fn allocate(total: u64, weights: &[u64]) -> Option<Vec<u64>> {
    let sum = weights
        .iter()
        .fold(0_u128, |sum, weight| sum.saturating_add(u128::from(*weight)));
    if u128::from(total) > sum {
        return None;
    }

    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut remaining = total;
    for (index, weight) in weights.iter().enumerate() {
        let product = u128::from(total).saturating_mul(u128::from(*weight));
        let share = product
            .checked_div(sum)
            .and_then(|share| u64::try_from(share).ok())
            .unwrap_or_default();
        remaining = remaining.saturating_sub(share);
        shares.push(share);
        remainders.push((Reverse(product.checked_rem(sum).unwrap_or_default()), index));
    }

    // Fewer units remain than shares were rounded down, so no share exceeds its weight.
    remainders.sort_unstable();
    for (_, index) in remainders
        .iter()
        .take(usize::try_from(remaining).unwrap_or(usize::MAX))
    {
        if let Some(share) = shares.get_mut(*index) {
            *share = share.saturating_add(1);
        }
    }

    Some(shares)
}

/// Returns `amount` × `part` / `whole`, rounded half up; zero if `whole` is zero.
pub(super) fn mul_div_half_up(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(u128::from(part)).saturating_mul(2);
    let whole = u128::from(whole);
    let rounded = product.saturating_add(whole).checked_div(whole.saturating_mul(2));
    rounded.and_then(|part| u64::try_from(part).ok()).unwrap_or_default()
}
