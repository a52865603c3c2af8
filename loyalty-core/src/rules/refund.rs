//! Refunds: what came back of an order, and what is left of it. The command is in
//! [`order`](super::order).
//!
//! - Units that come back take their share of their line.
//! - Money for lines is borne by those lines; what exceeds them is borne by all.
//! - Money of no line in particular is borne by the goods, each in proportion. Only what
//!   exceeds the goods is shipping.
//! - What edits took away after the order was paid bears refunds first.
//!
//! All of it is computed from the whole set of refunds, so that neither their slices nor
//! their order of arrival matter.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::exact::{Fraction, Overflow};
use crate::id::LineId;
use crate::order::{
    HighestPaid, Line, Order, OrderState, PaidLine, Quantity, Refund, RefundAmount, RefundContent,
    RefundCurrency,
};
use crate::rejection::Rejection;

/// What came back of an order, measured against its latest snapshot.
pub(crate) struct ReturnedGoods<'a> {
    lines: BTreeMap<&'a LineId, ReturnedLine>,
    /// The share of the goods that is borne by all lines.
    pub(crate) share: Fraction,
    /// The share of the goods that lines bear as money.
    pub(crate) share_of_lines: Fraction,
    /// The share of the shipping.
    pub(crate) shipping: Fraction,
    /// The money named by refunds.
    pub(crate) money: Fraction,
    /// The worth of the units that came back without money.
    worth_of_units: Fraction,
    /// The money that edits had taken away before, or lines that edits removed.
    settled: Fraction,
}

/// What came back of one line.
#[derive(Clone)]
pub(crate) struct ReturnedLine {
    /// The units that came back, beyond those that edits had removed.
    pub(crate) units: Quantity,
    /// The share of the line by units that came back without money.
    share: Fraction,
    /// The money that the line bears.
    money: Fraction,
}

impl ReturnedLine {
    /// The rest of a line of this amount in ten-thousandths, after its refunds.
    pub(crate) fn remaining(&self, cost: i64) -> Result<Fraction, Overflow> {
        let kept = Fraction::ONE.minus(&self.share)?;
        Fraction::new(cost, 10_000).times(&kept)?.minus(&self.money)
    }
}

/// The parts of an order's total that count as its goods.
#[derive(Clone, Copy)]
pub(crate) struct GoodsScope {
    /// The part of the total that was not paid with money and is not in the basis.
    pub(crate) redeemed: Amount,
    /// The tax is looked at as a part of the goods.
    pub(crate) tax_is_goods: bool,
}

impl GoodsScope {
    /// Money that was paid, without tax.
    const fn of_payment(order: &Order) -> Self {
        Self { redeemed: order.redeemed, tax_is_goods: false }
    }
}

impl<'a> ReturnedGoods<'a> {
    /// What came back by all refunds of an order.
    pub(crate) fn new(
        state: &'a OrderState,
        order: &'a Order,
        view: GoodsScope,
    ) -> Result<Self, Overflow> {
        Self::from_refunds(state.refunds().values(), state.highest_paid(), order, view)
    }

    fn from_refunds(
        refunds: impl Iterator<Item = &'a RefundContent>,
        paid: &HighestPaid,
        order: &'a Order,
        view: GoodsScope,
    ) -> Result<Self, Overflow> {
        let goods = Goods::new(order, paid, view.tax_is_goods);
        let mut sums = RefundSums::default();
        for refund in refunds {
            sums.add(refund, &goods)?;
        }
        sums.settle(&goods, view.redeemed)
    }

    /// What came back of a line.
    pub(crate) fn line(&self, id: &LineId) -> Option<&ReturnedLine> {
        self.lines.get(id)
    }

    /// All money that came back. Units without money count as their share of their line.
    fn total(&self, order: &Order) -> Result<Fraction, Overflow> {
        // If rounding, or a plugin's way of counting, makes the lines exceed the total, they
        // share it.
        let subtotal = order.subtotal().unwrap_or(Amount::MAX);
        let units = self.worth_of_units.clone();
        let units =
            if subtotal > order.total { scale(units, order.total, subtotal)? } else { units };
        self.money.clone().plus(&units)
    }

    /// The share of the goods that came back, of what was paid for them with money.
    fn share_of_goods(&self, order: &Order) -> Result<Fraction, Overflow> {
        let cost = Fraction::from_amount(order.subtotal().unwrap_or(Amount::MAX));
        if self.has_all_units(order) {
            return Ok(Fraction::ONE);
        }
        if cost.is_zero() {
            let is_back = !order.total.is_zero()
                && self.money.is_at_least(&Fraction::from_amount(order.total));
            return Ok(if is_back { Fraction::ONE } else { Fraction::ZERO });
        }

        let mut kept = Fraction::ZERO;
        for line in &order.lines {
            let cost = line.amount.ten_thousandths();
            let part = self.line(&line.id).map(|line| line.remaining(cost)).transpose()?;
            kept = kept.plus(&part.unwrap_or_else(|| Fraction::new(cost, 10_000)))?;
        }
        let paid = paid_part(order.total, order.redeemed);
        let taken = scale(cost.clone().times(&self.share)?, order.total, paid)?;
        let kept = kept.minus(&taken)?.divided_by(&cost)?.reduce();
        Fraction::ONE.minus(&kept)
    }

    /// Returns true if all units of all lines came back, without money that says how much.
    fn has_all_units(&self, order: &Order) -> bool {
        let is_back = |line: &Line| {
            self.line(&line.id)
                .is_some_and(|back| back.share.is_at_least(&Fraction::ONE))
        };
        let mut real = order.lines.iter().filter(|line| !line.quantity.is_zero()).peekable();
        real.peek().is_some() && real.all(is_back)
    }

    /// The most that can be refunded: the total, and what edits took away.
    fn limit(&self, order: &Order, paid: &HighestPaid) -> Result<Fraction, Overflow> {
        let total = Fraction::from_amount(order.total);
        let removed = Fraction::from_amount(paid.total).minus(&total)?;
        total.plus(if removed.is_at_least(&self.settled) { &removed } else { &self.settled })
    }
}

/// The goods of an order, and the rates between money and the amounts of its lines.
struct Goods<'a> {
    order: &'a Order,
    lines: BTreeMap<&'a LineId, &'a Line>,
    paid: &'a HighestPaid,
    /// The sum of the lines.
    cost: Amount,
    /// The part of the total that is not shipping.
    value: Amount,
    /// The same without tax.
    net_value: Amount,
    /// The tax is looked at as a part of the goods.
    has_tax: bool,
}

impl<'a> Goods<'a> {
    fn new(order: &'a Order, paid: &'a HighestPaid, tax_is_goods: bool) -> Self {
        let value = order.total.checked_sub(order.shipping).unwrap_or_default();
        Self {
            order,
            lines: order.lines.iter().map(|line| (&line.id, line)).collect(),
            paid,
            cost: order.subtotal().unwrap_or(Amount::MAX),
            value,
            net_value: value.checked_sub(order.tax).unwrap_or_default(),
            has_tax: tax_is_goods,
        }
    }

    /// The line as it is now, and the most of it as paid.
    fn line(&self, id: &LineId) -> (PaidLine, PaidLine) {
        let latest = self.lines.get(id).map(|line| line.as_paid()).unwrap_or_default();
        let most = self.paid.lines.get(id).copied().unwrap_or_default();
        (latest, latest.max(most))
    }

    /// The worth of units of a line, as it was paid.
    fn worth(&self, id: &LineId, units: Quantity) -> Fraction {
        let (latest, most) = self.line(id);
        let line = if latest.quantity.is_zero() { most } else { latest };
        Fraction::new(line.amount.ten_thousandths(), 10_000)
            .times(&Fraction::new(units.thousandths(), line.quantity.thousandths()))
            .unwrap_or(Fraction::ZERO)
    }

    /// The amount of a line as it is now.
    fn price(&self, id: &LineId) -> Fraction {
        Fraction::from_amount(self.line(id).0.amount)
    }

    /// Money for goods as the amount of lines that it pays for.
    fn to_cost(&self, money: Fraction) -> Result<Fraction, Overflow> {
        scale(money, self.cost, self.value)
    }

    /// The amount of lines as the money that it costs.
    fn to_money(&self, cost: Fraction) -> Result<Fraction, Overflow> {
        scale(cost, self.value, self.cost)
    }

    /// The factor from a refund's currency to the shop's; `None` if there is none.
    fn rate(&self, refunded: &RefundAmount) -> Option<Fraction> {
        let presentment = self.order.presentment;
        if refunded.is_in_shop_currency(presentment)? {
            return Some(Fraction::ONE);
        }
        let foreign = presentment?.amount();
        Some(Fraction::new(self.order.total.ten_thousandths(), foreign.ten_thousandths()))
    }
}

/// `number * to / from`; unchanged if both are equal.
fn scale(number: Fraction, to: Amount, from: Amount) -> Result<Fraction, Overflow> {
    if to == from {
        return Ok(number);
    }
    number.times(&Fraction::new(to.ten_thousandths(), from.ten_thousandths()))
}

/// The part of a total that was paid with money. The total itself if that is nothing.
fn paid_part(total: Amount, redeemed: Amount) -> Amount {
    total
        .checked_sub(redeemed)
        .filter(|paid| !paid.is_zero())
        .unwrap_or(total)
}

/// The sums of all refunds, before edits are settled.
#[derive(Default)]
struct RefundSums<'a> {
    lines: BTreeMap<&'a LineId, LineSums>,
    /// Money for goods of no line in particular.
    goods: Fraction,
    /// Money said to be shipping.
    shipping: Fraction,
    /// Money said to be tax, where the tax is no part of the goods.
    tax: Fraction,
    /// All money.
    money: Fraction,
}

#[derive(Default)]
struct LineSums {
    /// Units that came back without money.
    unpriced: Quantity,
    /// Units that came back with money.
    priced: Quantity,
    money: Fraction,
}

impl<'a> RefundSums<'a> {
    fn add(&mut self, refund: &'a RefundContent, goods: &Goods<'_>) -> Result<(), Overflow> {
        let money = match refund.amount() {
            // Money of an unknown worth takes nothing, but the lines did come back.
            Some(refunded) => match goods.rate(refunded) {
                Some(rate) => Some(self.add_money(refunded, &rate, goods)?),
                None => None,
            },
            None => None,
        };

        for (id, units) in refund.lines() {
            let line = self.lines.entry(id).or_default();
            let sum = if money.is_some() { &mut line.priced } else { &mut line.unpriced };
            *sum = sum.saturating_add(*units);
        }
        match money {
            Some(money) => self.allocate(money, refund.lines(), goods),
            None => Ok(()),
        }
    }

    /// Adds the money of a refund. Returns the part that is for goods, tax included.
    fn add_money(
        &mut self,
        refunded: &RefundAmount,
        rate: &Fraction,
        goods: &Goods<'_>,
    ) -> Result<Fraction, Overflow> {
        let convert = |amount: Amount| Fraction::from_amount(amount).times(rate);
        add(&mut self.money, &convert(refunded.amount())?)?;

        let shipping = convert(refunded.shipping())?;
        add(&mut self.shipping, &shipping)?;
        let rest = convert(refunded.amount())?.minus(&shipping)?;

        let Some(tax) = refunded.tax().filter(|_| !goods.has_tax) else {
            return Ok(rest);
        };
        let tax = convert(tax)?;
        add(&mut self.tax, &tax)?;
        let net = rest.minus(&tax)?;
        if goods.net_value.is_zero() { Ok(net) } else { scale(net, goods.value, goods.net_value) }
    }

    /// Lays money on the lines, by the worth of the units that came back. Lines that are
    /// not known, or worth nothing, bear none.
    fn allocate(
        &mut self,
        money: Fraction,
        lines: &'a [(LineId, Quantity)],
        goods: &Goods<'_>,
    ) -> Result<(), Overflow> {
        let worth = |(id, units): &(LineId, Quantity)| goods.worth(id, *units);
        let mut worths: Vec<Fraction> = lines.iter().map(worth).collect();
        if worths.iter().all(Fraction::is_zero) {
            // Money for a line of which no unit came back.
            worths = lines.iter().map(|(id, _)| goods.price(id)).collect();
        }
        let mut whole = Fraction::ZERO;
        for worth in &worths {
            add(&mut whole, worth)?;
        }
        if whole.is_zero() {
            return add(&mut self.goods, &money);
        }

        let cost = goods.to_cost(money)?;
        for ((id, _), worth) in lines.iter().zip(worths) {
            let share = worth.divided_by(&whole)?.reduce();
            let line = self.lines.entry(id).or_default();
            add(&mut line.money, &cost.clone().times(&share)?)?;
        }
        Ok(())
    }

    /// Lets what edits took away bear its part, and lays the rest on what there is.
    fn settle(
        mut self,
        goods: &Goods<'_>,
        redeemed: Amount,
    ) -> Result<ReturnedGoods<'a>, Overflow> {
        let order = goods.order;
        let mut settled = Fraction::ZERO;
        let (mut worth_of_units, mut borne) = (Fraction::ZERO, Fraction::ZERO);
        let mut lines = BTreeMap::new();
        for (id, sums) in std::mem::take(&mut self.lines) {
            let mut line = sums.settle(goods.line(id), &mut settled, &mut worth_of_units)?;
            let excess = line.limit_money(goods.line(id).0.amount, order.total, redeemed)?;
            add(&mut self.goods, &goods.to_money(excess)?)?;
            add(&mut borne, &line.money)?;
            lines.insert(id, line);
        }

        // More than the order has of shipping or tax was paid for goods.
        let shipping = Fraction::from_amount(order.shipping);
        add(&mut self.goods, &self.shipping.clone().minus(&shipping)?)?;
        add(&mut self.goods, &self.tax.minus(&Fraction::from_amount(order.tax))?)?;

        let settled = goods.to_money(settled)?;
        let removed = Fraction::from_amount(goods.paid.total)
            .minus(&Fraction::from_amount(order.total))?
            .minus(&settled)?;
        let money = self.goods.minus(&removed)?;
        let value = Fraction::from_amount(goods.value);
        let beyond_goods = money.clone().minus(&value)?;
        Ok(ReturnedGoods {
            lines,
            share: at_most_one(money.divided_by(&value)?.reduce()),
            share_of_lines: borne.divided_by(&Fraction::from_amount(goods.cost))?,
            shipping: at_most_one(self.shipping.plus(&beyond_goods)?.divided_by(&shipping)?),
            money: self.money,
            worth_of_units,
            settled,
        })
    }
}

impl LineSums {
    /// What came back of the line as it is now. What edits took away of it comes first, and
    /// is added to `settled`.
    fn settle(
        self,
        (latest, most): (PaidLine, PaidLine),
        settled: &mut Fraction,
        worth_of_units: &mut Fraction,
    ) -> Result<ReturnedLine, Overflow> {
        let units = self.unpriced.saturating_add(self.priced);
        let removed = most.quantity.saturating_sub(latest.quantity).min(units);

        // Of units that an edit removed, none is left to take its share of the line.
        let mut share = Fraction::new(self.unpriced.thousandths(), latest.quantity.thousandths());
        let mut worth = Fraction::ZERO;
        if !removed.is_zero() {
            let part = Fraction::new(removed.thousandths(), units.thousandths());
            share = share.times(&Fraction::ONE.minus(&part)?)?;
            worth = Fraction::new(self.unpriced.thousandths(), most.quantity.thousandths())
                .times(&part)?
                .times(&Fraction::from_amount(most.amount))?;
        }
        add(settled, &worth)?;
        // A line that a later report brought can have fewer units than came back of it before.
        let share = at_most_one(share);
        let left = Fraction::from_amount(latest.amount).times(&share)?;
        add(worth_of_units, &left.plus(&worth)?)?;

        let reduced = Fraction::from_amount(most.amount)
            .minus(&Fraction::from_amount(latest.amount))?
            .minus(&worth)?;
        let money = self.money.clone().minus(&reduced)?;
        add(settled, &self.money.minus(&money)?)?;
        let units = units.saturating_sub(removed);
        Ok(ReturnedLine { units, share, money })
    }
}

impl ReturnedLine {
    /// Limits the money to what the line can bear, and returns the rest.
    ///
    /// Where a part of the order was paid with a reward, money is more of the line than of
    /// its price: 40 paid for a line of 50 are all of it.
    fn limit_money(
        &mut self,
        cost: Amount,
        total: Amount,
        redeemed: Amount,
    ) -> Result<Fraction, Overflow> {
        if self.money.is_zero() {
            return Ok(Fraction::ZERO);
        }
        let paid = paid_part(total, redeemed);
        let money = scale(std::mem::take(&mut self.money), total, paid)?;
        let bearable = self.remaining(cost.ten_thousandths())?;
        let excess = money.clone().minus(&bearable)?;
        self.money = if excess.is_zero() { money } else { bearable };
        scale(excess, paid, total)
    }
}

fn add(sum: &mut Fraction, more: &Fraction) -> Result<(), Overflow> {
    *sum = std::mem::take(sum).plus(more)?;
    Ok(())
}

fn at_most_one(share: Fraction) -> Fraction {
    if share.is_at_least(&Fraction::ONE) { Fraction::ONE } else { share }
}

/// The share of the goods that came back: 1 if nothing is left of them.
pub(crate) fn returned_share(state: &OrderState) -> Result<Fraction, Overflow> {
    let Some(recorded) = state.snapshot().filter(|_| !state.refunds().is_empty()) else {
        return Ok(Fraction::ZERO);
    };
    let returned =
        ReturnedGoods::new(state, &recorded.order, GoodsScope::of_payment(&recorded.order))?;
    returned.share_of_goods(&recorded.order)
}

/// Returns true if nothing is left of the goods of the order.
pub(crate) fn is_fully_refunded(state: &OrderState) -> Result<bool, Overflow> {
    Ok(returned_share(state)?.is_at_least(&Fraction::ONE))
}

/// Returns true if nothing is left of the goods, nor of the shipping if that counts.
///
/// Where no refund names money, shipping comes back with the last unit.
pub(crate) fn is_all_returned(state: &OrderState, counts_shipping: bool) -> Result<bool, Overflow> {
    let Some(recorded) = state.snapshot().filter(|_| !state.refunds().is_empty()) else {
        return Ok(false);
    };
    let order = &recorded.order;
    let returned = ReturnedGoods::new(state, order, GoodsScope::of_payment(order))?;
    let keeps_shipping = counts_shipping
        && !order.shipping.is_zero()
        && !returned.money.is_zero()
        && !returned.shipping.is_at_least(&Fraction::ONE);
    Ok(!keeps_shipping && returned.share_of_goods(order)?.is_at_least(&Fraction::ONE))
}

/// The same refund, of no more than what is left of its order.
pub(crate) fn limit_refund(
    state: &OrderState,
    order: &Order,
    refund: &mut Refund,
) -> Result<(), Overflow> {
    let left = refundable_amount(state, order)?;
    match &mut refund.refunded {
        RefundContent::Amount(amount) => *amount = amount.limited_to(left),
        RefundContent::Lines { lines, amount } => {
            let mut returned = returned_units(state);
            for (id, units) in lines.iter_mut() {
                let sum = returned.entry(id.clone()).or_default();
                let most = most_units(state, order, id).unwrap_or_default();
                *units = (*units).min(most.saturating_sub(*sum));
                *sum = sum.saturating_add(*units);
            }
            lines.retain(|(_, units)| !units.is_zero());
            *amount = amount.map(|amount| amount.limited_to(left));
        }
    }
    Ok(())
}

/// The units of each line that refunds name.
fn returned_units(state: &OrderState) -> BTreeMap<LineId, Quantity> {
    let mut units: BTreeMap<LineId, Quantity> = BTreeMap::new();
    for (id, quantity) in state.refunds().values().flat_map(RefundContent::lines) {
        let sum = units.entry(id.clone()).or_default();
        *sum = sum.saturating_add(*quantity);
    }
    units
}

/// The most units that a line was reported with. `None` if there is no such line.
fn most_units(state: &OrderState, order: &Order, id: &LineId) -> Option<Quantity> {
    let known = order.line(id).map(|line| line.quantity);
    let paid = state.highest_paid().lines.get(id).map(|line| line.quantity);
    known.max(paid)
}

/// The money that is left to refund.
pub(crate) fn refundable_amount(state: &OrderState, order: &Order) -> Result<Amount, Overflow> {
    let returned = ReturnedGoods::new(state, order, GoodsScope::of_payment(order))?;
    let limit = returned.limit(order, state.highest_paid())?;
    Ok(limit.minus(&returned.total(order)?)?.to_amount_rounded_down())
}

/// Checks that a refund names its currency where it must, and does not exceed what is left
/// of its order.
///
/// # Errors
/// [`Rejection::CurrencyRequired`], [`Rejection::CurrencyMismatch`],
/// [`Rejection::UnknownLine`], [`Rejection::RefundExceedsLine`] or
/// [`Rejection::RefundExceedsOrder`].
pub(crate) fn check_fits(
    state: &OrderState,
    order: &Order,
    is_dated: bool,
    refund: &Refund,
) -> Result<(), Rejection> {
    if let Some(amount) = refund.refunded.amount() {
        check_currency(amount, order)?;
    }

    let mut units = returned_units(state);
    for (id, quantity) in refund.refunded.lines() {
        let sum = units.entry(id.clone()).or_default();
        *sum = sum.saturating_add(*quantity);
        match most_units(state, order, id) {
            Some(most) if *sum > most => {
                return Err(Rejection::RefundExceedsLine { line: id.clone(), quantity: most });
            }
            // A report that is older than the latest one can still bring the line.
            None if !is_dated => return Err(Rejection::UnknownLine { line: id.clone() }),
            Some(_) | None => {}
        }
    }

    let paid = state.highest_paid();
    let all = state.refunds().values().chain([&refund.refunded]);
    let returned = ReturnedGoods::from_refunds(all, paid, order, GoodsScope::of_payment(order))?;
    if returned.limit(order, paid)?.is_at_least(&returned.total(order)?) {
        return Ok(());
    }
    let left = refundable_amount(state, order)?;
    Err(Rejection::RefundExceedsOrder { left, total: order.total })
}

/// Checks that an amount can be converted by the order's rate.
fn check_currency(amount: &RefundAmount, order: &Order) -> Result<(), Rejection> {
    match (amount.currency(), order.presentment) {
        (RefundCurrency::Unnamed, Some(paid)) => {
            Err(Rejection::CurrencyRequired { order: paid.currency() })
        }
        _ if amount.is_in_shop_currency(order.presentment).is_none() => {
            Err(Rejection::CurrencyMismatch)
        }
        _ => Ok(()),
    }
}

/// The lines of all refunds of an order together. All of them are looked at for each report.
const MAX_REFUND_LINES: usize = 10_000;

/// Checks that a refund does not bring the order beyond the lines that can be refunded.
///
/// # Errors
/// [`Rejection::TooManyRefundLines`].
pub(crate) fn check_line_count(
    state: &OrderState,
    refunded: &RefundContent,
) -> Result<(), Rejection> {
    let lines = |content: &RefundContent| match content {
        RefundContent::Lines { lines, .. } => lines.len().max(1),
        RefundContent::Amount(_) => 1,
    };
    let known = state
        .refunds()
        .values()
        .map(lines)
        .fold(0_usize, usize::saturating_add);
    if known.saturating_add(lines(refunded)) > MAX_REFUND_LINES {
        return Err(Rejection::TooManyRefundLines { limit: MAX_REFUND_LINES });
    }
    Ok(())
}
