//! Buy X get Y: the units that are bought and the units that are discounted.

/// Units of one line that a bundle can use.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitGroup {
    /// Index of the line in the cart.
    pub(super) line: usize,
    /// Price of one unit, in minor units.
    pub(super) price: u64,
    /// Number of units.
    pub(super) units: u64,
    /// The units can be bought: they count towards X.
    pub(super) prerequisite: bool,
    /// The units can be discounted: they count towards Y.
    pub(super) entitled: bool,
}

/// The purchase that one application needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum BundleRequirement {
    /// Number of units.
    Units(u64),
    /// Price of the units together, in minor units.
    Amount(u64),
}

/// The units that a bundle uses.
#[derive(Debug, Default)]
pub(super) struct BundleMatch {
    /// Number of applications.
    pub(super) applications: u64,
    /// Units bought, by line.
    pub(super) prerequisite_units: Vec<(usize, u64)>,
    /// Units discounted, by line.
    pub(super) entitled_units: Vec<(usize, u64)>,
}

/// Totals over all groups of units.
struct UnitTotals {
    prerequisite: UnitsAndCost,
    entitled: u64,
    entitled_only: u64,
    /// Groups that can be bought as well as discounted, the cheapest first.
    shared: Vec<UnitGroup>,
}

/// A number of units and their price together.
#[derive(Clone, Copy, Default)]
struct UnitsAndCost {
    units: u64,
    amount: u128,
}

fn cost(group: &UnitGroup, units: u64) -> u128 {
    u128::from(group.price).saturating_mul(u128::from(units))
}

impl UnitTotals {
    fn from_groups(groups: &[UnitGroup]) -> Self {
        let units = |is_counted: fn(&&UnitGroup) -> bool| {
            groups
                .iter()
                .filter(is_counted)
                .fold(0_u64, |sum, group| sum.saturating_add(group.units))
        };
        let amount = groups
            .iter()
            .filter(|group| group.prerequisite)
            .fold(0_u128, |sum, group| sum.saturating_add(cost(group, group.units)));

        let mut shared: Vec<_> = groups
            .iter()
            .filter(|group| group.prerequisite && group.entitled)
            .copied()
            .collect();
        shared.sort_by_key(|group| (group.price, group.line));

        Self {
            prerequisite: UnitsAndCost { units: units(|group| group.prerequisite), amount },
            entitled: units(|group| group.entitled),
            entitled_only: units(|group| group.entitled && !group.prerequisite),
            shared,
        }
    }

    /// Returns how many shared units, the cheapest first, can be discounted while enough
    /// units remain to be bought for `applications`. `None` if the purchase is too small
    /// even without discounted units.
    fn spare_shared_units(&self, buy: BundleRequirement, applications: u64) -> Option<u64> {
        match buy {
            BundleRequirement::Units(each) => {
                self.prerequisite.units.checked_sub(each.checked_mul(applications)?)
            }
            BundleRequirement::Amount(each) => {
                let need = u128::from(each).checked_mul(u128::from(applications))?;
                let mut spare = self.prerequisite.amount.checked_sub(need)?;

                // The cheapest units cost the purchase least, so they make the most units.
                let mut units = 0_u64;
                for group in &self.shared {
                    let affordable =
                        spare.checked_div(u128::from(group.price)).unwrap_or(u128::MAX);
                    let selected = u64::try_from(affordable).unwrap_or(u64::MAX).min(group.units);
                    units = units.saturating_add(selected);
                    spare = spare.saturating_sub(cost(group, selected));
                    if selected < group.units {
                        break;
                    }
                }

                Some(units)
            }
        }
    }

    /// Returns true if the units suffice for `applications`. Shared units are discounted
    /// only after all others.
    fn is_feasible(&self, buy: BundleRequirement, get: u64, applications: u64) -> bool {
        let Some(discounted) = get.checked_mul(applications) else {
            return false;
        };
        let shared = discounted.saturating_sub(self.entitled_only);
        discounted <= self.entitled
            && self
                .spare_shared_units(buy, applications)
                .is_some_and(|spare| shared <= spare)
    }

    /// Returns the maximum number of applications. Each further application needs more
    /// units, so a binary search finds it.
    fn max_applications(&self, buy: BundleRequirement, get: u64, limit: Option<u64>) -> u64 {
        let (mut low, mut high) = (0, self.entitled.checked_div(get).unwrap_or_default());
        high = limit.map_or(high, |limit| high.min(limit));

        while low < high {
            let middle = low.midpoint(high.saturating_add(1));
            if self.is_feasible(buy, get, middle) {
                low = middle;
            } else {
                high = middle.saturating_sub(1);
            }
        }

        low
    }
}

/// Selects units for as many applications as possible, at most `limit`.
///
/// Discounted are the cheapest units that leave enough to buy; bought are the most expensive
/// of the others. Of equal prices the earlier line is selected. The cost is near linear in
/// the number of groups, whatever their sizes.
pub(super) fn match_bundle(
    groups: &[UnitGroup],
    buy: BundleRequirement,
    get: u64,
    limit: Option<u64>,
) -> BundleMatch {
    let totals = UnitTotals::from_groups(groups);
    let applications = totals.max_applications(buy, get, limit);
    let Some(mut spare) = totals
        .spare_shared_units(buy, applications)
        .filter(|_| applications > 0)
    else {
        return BundleMatch::default();
    };

    let mut groups = groups.to_vec();
    groups.sort_by_key(|group| (group.price, group.line));
    let mut entitled_units = Vec::new();
    let mut missing = get.saturating_mul(applications);
    for group in groups.iter_mut().filter(|group| group.entitled) {
        let allowed = if group.prerequisite { spare } else { u64::MAX };
        let selected = group.units.min(missing).min(allowed);
        if group.prerequisite {
            spare = spare.saturating_sub(selected);
        }
        group.units = group.units.saturating_sub(selected);
        missing = missing.saturating_sub(selected);
        if selected > 0 {
            entitled_units.push((group.line, selected));
        }
    }

    BundleMatch {
        applications,
        prerequisite_units: select_prerequisite_units(&mut groups, buy, applications),
        entitled_units,
    }
}

/// Selects the most expensive units that satisfy the purchase for `applications`.
fn select_prerequisite_units(
    groups: &mut [UnitGroup],
    buy: BundleRequirement,
    applications: u64,
) -> Vec<(usize, u64)> {
    groups.sort_by(|a, b| b.price.cmp(&a.price).then(a.line.cmp(&b.line)));
    let (BundleRequirement::Units(each) | BundleRequirement::Amount(each)) = buy;
    let mut missing = u128::from(each).saturating_mul(u128::from(applications));

    let mut bought = Vec::new();
    for group in groups.iter().filter(|group| group.prerequisite) {
        let unit = match buy {
            BundleRequirement::Units(_) => 1,
            BundleRequirement::Amount(_) => u128::from(group.price),
        };
        // Rounded up: the last unit may exceed the amount to spend.
        let enough = missing
            .checked_add(unit.saturating_sub(1))
            .and_then(|sum| sum.checked_div(unit));
        let selected = enough
            .and_then(|units| u64::try_from(units).ok())
            .unwrap_or_default()
            .min(group.units);
        missing = missing.saturating_sub(unit.saturating_mul(u128::from(selected)));
        if selected > 0 {
            bought.push((group.line, selected));
        }
    }

    bought
}
