//! Buy X get Y: which units are bought and which are got.

/// Units of one line that a bundle can use.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitGroup {
    /// The line's place in the cart.
    pub(super) line: usize,
    /// What one unit costs, in minor units.
    pub(super) price: u64,
    /// How many there are.
    pub(super) units: u64,
    /// They count as bought.
    pub(super) prerequisite: bool,
    /// They can be got.
    pub(super) entitled: bool,
}

/// What one application needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum BundleRequirement {
    /// So many units.
    Units(u64),
    /// Units for so much, in minor units.
    Amount(u64),
}

/// Which units a bundle uses.
#[derive(Debug, Default)]
pub(super) struct BundleMatch {
    /// How often it applies.
    pub(super) applications: u64,
    /// Units bought, by line.
    pub(super) prerequisite_units: Vec<(usize, u64)>,
    /// Units got, by line.
    pub(super) entitled_units: Vec<(usize, u64)>,
}

/// What the piles hold together.
struct UnitTotals {
    prerequisite: UnitsAndCost,
    entitled: u64,
    entitled_only: u64,
    /// Units that could be either, cheapest first.
    shared: Vec<UnitGroup>,
}

/// Units, and what they cost.
#[derive(Clone, Copy, Default)]
struct UnitsAndCost {
    units: u64,
    amount: u128,
}

fn cost(pile: &UnitGroup, units: u64) -> u128 {
    u128::from(pile.price).saturating_mul(u128::from(units))
}

impl UnitTotals {
    fn from_groups(piles: &[UnitGroup]) -> Self {
        let units = |count: fn(&&UnitGroup) -> bool| {
            piles
                .iter()
                .filter(count)
                .fold(0_u64, |sum, pile| sum.saturating_add(pile.units))
        };
        let amount = piles
            .iter()
            .filter(|pile| pile.prerequisite)
            .fold(0_u128, |sum, pile| sum.saturating_add(cost(pile, pile.units)));
        let mut shared: Vec<_> = piles
            .iter()
            .filter(|pile| pile.prerequisite && pile.entitled)
            .copied()
            .collect();
        shared.sort_by_key(|pile| (pile.price, pile.line));
        Self {
            prerequisite: UnitsAndCost { units: units(|pile| pile.prerequisite), amount },
            entitled: units(|pile| pile.entitled),
            entitled_only: units(|pile| pile.entitled && !pile.prerequisite),
            shared,
        }
    }

    /// How many of the shared units can be got, the cheapest, and still leave enough to be bought for so
    /// many applications; none where there is too little to be bought anyway.
    fn spare_shared_units(&self, buy: BundleRequirement, applications: u64) -> Option<u64> {
        match buy {
            BundleRequirement::Units(each) => {
                self.prerequisite.units.checked_sub(each.checked_mul(applications)?)
            }
            BundleRequirement::Amount(each) => {
                let need = u128::from(each).checked_mul(u128::from(applications))?;
                let mut spare = self.prerequisite.amount.checked_sub(need)?;
                let mut units = 0_u64;
                for pile in &self.shared {
                    let affordable = spare.checked_div(u128::from(pile.price)).unwrap_or(u128::MAX);
                    let taken = u64::try_from(affordable).unwrap_or(u64::MAX).min(pile.units);
                    units = units.saturating_add(taken);
                    spare = spare.saturating_sub(cost(pile, taken));
                    if taken < pile.units {
                        break;
                    }
                }
                Some(units)
            }
        }
    }

    /// Whether so many applications can be had: what is got takes shared units only where others run out.
    fn is_feasible(&self, buy: BundleRequirement, get: u64, applications: u64) -> bool {
        let Some(got) = get.checked_mul(applications) else { return false };
        let shared = got.saturating_sub(self.entitled_only);
        got <= self.entitled
            && self
                .spare_shared_units(buy, applications)
                .is_some_and(|spare| shared <= spare)
    }

    /// The most applications: each more needs more, so halving finds it.
    fn max_applications(&self, buy: BundleRequirement, get: u64, limit: Option<u64>) -> u64 {
        let (mut low, mut high) = (0, self.entitled.checked_div(get).unwrap_or_default());
        high = limit.map_or(high, |limit| high.min(limit));
        while low < high {
            let middle = low.midpoint(high.saturating_add(1));
            if self.is_feasible(buy, get, middle) {
                low = middle
            } else {
                high = middle.saturating_sub(1)
            }
        }
        low
    }
}

/// Finds as many applications as the piles have, `limit` at most. What is got is the cheapest that leaves
/// enough to be bought, what is bought the dearest of the rest; ties go to the earlier line.
///
/// Near linear in the number of piles, whatever their sizes.
pub(super) fn match_bundle(
    piles: &[UnitGroup],
    buy: BundleRequirement,
    get: u64,
    limit: Option<u64>,
) -> BundleMatch {
    let sums = UnitTotals::from_groups(piles);
    let applications = sums.max_applications(buy, get, limit);
    let Some(mut spare) = sums
        .spare_shared_units(buy, applications)
        .filter(|_| applications > 0)
    else {
        return BundleMatch::default();
    };
    let mut piles = piles.to_vec();
    let mut got = Vec::new();
    let mut wanted = get.saturating_mul(applications);
    piles.sort_by_key(|pile| (pile.price, pile.line));
    for pile in piles.iter_mut().filter(|pile| pile.entitled) {
        let allowed = if pile.prerequisite { spare } else { u64::MAX };
        let taken = pile.units.min(wanted).min(allowed);
        if pile.prerequisite {
            spare = spare.saturating_sub(taken);
        }
        pile.units = pile.units.saturating_sub(taken);
        wanted = wanted.saturating_sub(taken);
        if taken > 0 {
            got.push((pile.line, taken));
        }
    }
    BundleMatch {
        applications,
        prerequisite_units: select_prerequisite_units(&mut piles, buy, applications),
        entitled_units: got,
    }
}

/// The dearest units that make up what so many applications need.
fn select_prerequisite_units(
    piles: &mut [UnitGroup],
    buy: BundleRequirement,
    applications: u64,
) -> Vec<(usize, u64)> {
    piles.sort_by(|a, b| b.price.cmp(&a.price).then(a.line.cmp(&b.line)));
    let (BundleRequirement::Units(each) | BundleRequirement::Amount(each)) = buy;
    let mut missing = u128::from(each).saturating_mul(u128::from(applications));
    let mut bought = Vec::new();
    for pile in piles.iter().filter(|pile| pile.prerequisite) {
        let worth = match buy {
            BundleRequirement::Units(_) => 1,
            BundleRequirement::Amount(_) => u128::from(pile.price),
        };
        let enough = missing
            .checked_add(worth.saturating_sub(1))
            .and_then(|sum| sum.checked_div(worth));
        let taken = enough
            .and_then(|units| u64::try_from(units).ok())
            .unwrap_or_default()
            .min(pile.units);
        missing = missing.saturating_sub(worth.saturating_mul(u128::from(taken)));
        if taken > 0 {
            bought.push((pile.line, taken));
        }
    }
    bought
}
