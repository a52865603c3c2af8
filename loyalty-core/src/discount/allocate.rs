//! Sharing a discount out, exactly.

use std::cmp::Reverse;

/// Shares `total` out in proportion to `weights`, all in minor units: by largest remainder, ties to the
/// earlier one. The shares add up to the total, and none exceeds its weight. `None` where the weights
/// together are less than the total.
///
/// # Example: 300 over 4300, 1400 and 2300
/// ```
/// use loyalty_core::discount::allocate;
/// assert_eq!(allocate(300, &[4300, 1400, 2300]), Some(vec![161, 53, 86]));
/// assert_eq!(allocate(2, &[1, 1, 1]), Some(vec![1, 1, 0]));
/// assert_eq!(allocate(4, &[1, 1, 1]), None);
/// ```
pub fn allocate(total: u64, weights: &[u64]) -> Option<Vec<u64>> {
    let whole = weights
        .iter()
        .fold(0_u128, |sum, weight| sum.saturating_add(u128::from(*weight)));
    if u128::from(total) > whole {
        return None;
    }
    let mut shares = Vec::with_capacity(weights.len());
    let mut rests = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, weight) in weights.iter().enumerate() {
        let product = u128::from(total).saturating_mul(u128::from(*weight));
        let share = product
            .checked_div(whole)
            .and_then(|share| u64::try_from(share).ok())
            .unwrap_or_default();
        left = left.saturating_sub(share);
        shares.push(share);
        rests.push((Reverse(product.checked_rem(whole).unwrap_or_default()), index));
    }
    // What is left is less than the number of shares with a remainder, so none goes past its weight.
    rests.sort_unstable();
    for (_, index) in rests.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        if let Some(share) = shares.get_mut(*index) {
            *share = share.saturating_add(1);
        }
    }
    Some(shares)
}

/// `amount` × `part` / `whole`, a half up. Nothing of nothing.
pub(super) fn mul_div_half_up(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(u128::from(part)).saturating_mul(2);
    let whole = u128::from(whole);
    let doubled = product.saturating_add(whole).checked_div(whole.saturating_mul(2));
    doubled.and_then(|part| u64::try_from(part).ok()).unwrap_or_default()
}
