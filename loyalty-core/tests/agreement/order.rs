//! The model of an order: what came back of it, and what it earns. It adds up all refunds anew
//! each time.

use chrono::NaiveDateTime;

use crate::model::Extras;
use crate::ratio::Ratio;

/// One of the two lines of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LineContent {
    pub(crate) price: i64,
    /// Half units.
    pub(crate) halves: i64,
}

impl LineContent {
    fn max(self, other: Self) -> Self {
        Self {
            price: self.price.max(other.price),
            halves: self.halves.max(other.halves),
        }
    }
}

/// What the shop reports of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderContent {
    /// The first one is always there.
    pub(crate) lines: [Option<LineContent>; 2],
    pub(crate) shipping: i64,
    /// The tax, and whether the lines include it.
    pub(crate) tax: (i64, bool),
    /// The total in another currency that the customer paid in.
    pub(crate) foreign: Option<i64>,
    pub(crate) note: i64,
    pub(crate) by_app: bool,
    /// The redemption whose code it has.
    pub(crate) code: Option<usize>,
}

impl OrderContent {
    pub(crate) fn line(&self, index: usize) -> LineContent {
        self.lines[index].unwrap_or_default()
    }

    /// The sum of the lines.
    pub(crate) fn goods(&self) -> i64 {
        self.line(0).price + self.line(1).price
    }

    /// What was paid for the goods.
    fn value(&self) -> i64 {
        self.goods() + if self.tax.1 { 0 } else { self.tax.0 }
    }

    pub(crate) fn total(&self) -> i64 {
        self.value() + self.shipping
    }
}

/// The currency that a refund names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Named {
    Nothing,
    Shop,
    /// That of orders in another currency.
    Foreign,
    /// One that no order has.
    Unheard,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RefundMoney {
    pub(crate) amount: i64,
    pub(crate) shipping: i64,
    pub(crate) tax: Option<i64>,
    pub(crate) named: Named,
}

/// A refund: money, or half units of lines, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefundContent {
    pub(crate) money: Option<RefundMoney>,
    pub(crate) halves: [Option<i64>; 2],
}

/// The parts of an order that a program counts beside its lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis {
    pub(crate) tax: bool,
    pub(crate) shipping: bool,
}

/// What came back of an order.
struct Returned {
    /// Of each line: the share by units, money beside it, and half units.
    lines: [(Ratio, Ratio, i64); 2],
    /// The share of all goods that money of no line took, and that money of lines took.
    share: Ratio,
    share_of_lines: Ratio,
    shipping: Ratio,
    money: Ratio,
    worth_of_units: Ratio,
    /// Money for what edits had removed from lines.
    settled: Ratio,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) content: OrderContent,
    pub(crate) basis: Basis,
    pub(crate) extras: Option<Extras>,
    /// Points whose conditions were judged when the order was new.
    pub(crate) pinned_points: i64,
    /// The highest total that it was reported with, and the most of each line.
    pub(crate) highest: (i64, [LineContent; 2]),
    pub(crate) refunds: Vec<RefundContent>,
    pub(crate) cancelled: bool,
    /// What it counts for tiers and goals, after the last report.
    pub(crate) counted: [i64; 3],
    pub(crate) factor: i64,
    pub(crate) gate: NaiveDateTime,
    /// The end of the rolling window that counts the order.
    pub(crate) counts_until: NaiveDateTime,
    pub(crate) last_reported_at: NaiveDateTime,
    pub(crate) awarded: i64,
    pub(crate) taken: i64,
    pub(crate) expired: i64,
    pub(crate) forgiven: i64,
    pub(crate) non_expiring: bool,
}

impl Order {
    /// Takes the content of a later report.
    pub(crate) fn edit(&mut self, content: OrderContent) {
        self.content = content;
        self.highest.0 = self.highest.0.max(content.total());
        for index in 0..2 {
            self.highest.1[index] = self.highest.1[index].max(content.line(index));
        }
    }

    /// The name of the reason why a refund does not fit.
    pub(crate) fn refusal(&self, refund: &RefundContent) -> Option<&'static str> {
        if let Some(money) = refund.money {
            match (money.named, self.content.foreign) {
                (Named::Nothing, Some(_)) => return Some("currency_required"),
                (Named::Unheard, _) | (Named::Foreign, None) => return Some("currency_mismatch"),
                _ => {}
            }
        }

        let mut after = self.clone();
        after.refunds.push(*refund);
        for index in (0..2).filter(|index| refund.halves[*index].is_some()) {
            let named = after.refunds.iter().filter_map(|one| one.halves[index]);
            let most = self.highest.1[index].halves;
            if most > 0 && named.sum::<i64>() > most {
                return Some("refund_exceeds_line");
            }
        }

        let back = after.returned(false);
        let removed = Ratio::whole(self.highest.0 - self.content.total());
        let most = Ratio::whole(self.content.total()).plus(removed.max(back.settled));
        let fits = most.is_at_least(back.money.plus(back.worth_of_units));
        (!fits).then_some("refund_exceeds_order")
    }

    /// The worth of one unit of the shop's currency of a refund's.
    fn rate(&self, named: Named) -> Option<Ratio> {
        match (named, self.content.foreign) {
            (Named::Nothing | Named::Shop, None) | (Named::Shop, Some(_)) => Some(Ratio::ONE),
            (Named::Nothing | Named::Foreign, Some(foreign)) => {
                Some(Ratio::of(self.content.total(), foreign))
            }
            (Named::Unheard, _) | (Named::Foreign, None) => None,
        }
    }

    fn returned(&self, tax_is_goods: bool) -> Returned {
        let content = &self.content;
        let (goods, value) = (content.goods(), content.value());
        let (to_price, to_money) = (Ratio::of(goods, value), Ratio::of(value, goods));
        let mut pool = Ratio::ZERO;
        let (mut money, mut shipping, mut tax) = (Ratio::ZERO, Ratio::ZERO, Ratio::ZERO);
        let mut units = [[0_i64; 2]; 2]; // of each line: without money, and with it
        let mut line_money = [Ratio::ZERO; 2];

        for refund in &self.refunds {
            let paid = refund.money.and_then(|paid| Some((paid, self.rate(paid.named)?)));
            for (units, halves) in units.iter_mut().zip(refund.halves) {
                units[usize::from(paid.is_some())] += halves.unwrap_or(0);
            }
            let Some((paid, rate)) = paid else { continue };
            let in_shop = |amount: i64| Ratio::whole(amount).times(rate);
            money = money.plus(in_shop(paid.amount));
            shipping = shipping.plus(in_shop(paid.shipping));
            let mut for_goods = in_shop(paid.amount - paid.shipping);
            if let (Some(part), false) = (paid.tax, tax_is_goods) {
                tax = tax.plus(in_shop(part));
                for_goods = for_goods.less(in_shop(part));
                // What is left is without tax: the tax of these goods came back with them.
                if value > content.tax.0 {
                    for_goods = for_goods.times(Ratio::of(value, value - content.tax.0));
                }
            }

            match self.weights(refund) {
                None => pool = pool.plus(for_goods),
                Some(weights) => {
                    let sum = weights[0].plus(weights[1]);
                    for index in 0..2 {
                        let part = for_goods.times(to_price).times(weights[index]).over(sum);
                        line_money[index] = line_money[index].plus(part);
                    }
                }
            }
        }

        let (mut settled, mut worth_of_units, mut borne) = (Ratio::ZERO, Ratio::ZERO, Ratio::ZERO);
        let mut lines = [(Ratio::ZERO, Ratio::ZERO, 0); 2];
        for index in 0..2 {
            let (now, most) = (content.line(index), self.highest.1[index]);
            let [alone, priced] = units[index];
            let edited_away = (most.halves - now.halves).min(alone + priced);
            // Those that edits had removed are as likely units without money as with it.
            let gone = Ratio::of(alone, most.halves)
                .times(Ratio::of(edited_away, alone + priced))
                .times(Ratio::whole(most.price));
            let left = Ratio::of(alone, now.halves)
                .times(Ratio::ONE.less(Ratio::of(edited_away, alone + priced)));
            let share = left.min(Ratio::ONE);
            worth_of_units = worth_of_units.plus(gone).plus(share.times(Ratio::whole(now.price)));

            let cheaper = Ratio::whole(most.price - now.price).less(gone);
            let bears = line_money[index].less(cheaper);
            settled = settled.plus(gone).plus(line_money[index].less(bears));
            let room = Ratio::whole(now.price).times(Ratio::ONE.less(share));
            pool = pool.plus(bears.less(room).times(to_money));
            borne = borne.plus(bears.min(room));
            lines[index] = (share, bears.min(room), alone + priced - edited_away);
        }

        // What exceeds the shipping and the tax was paid for goods.
        pool = pool.plus(shipping.less(Ratio::whole(content.shipping)));
        pool = pool.plus(tax.less(Ratio::whole(content.tax.0)));
        let settled = settled.times(to_money);
        let edited_away = Ratio::whole(self.highest.0 - content.total()).less(settled);
        let for_goods = pool.less(edited_away);
        let beyond = for_goods.less(Ratio::whole(value));
        Returned {
            lines,
            share: for_goods.over(Ratio::whole(value)).min(Ratio::ONE),
            share_of_lines: borne.over(Ratio::whole(goods)),
            shipping: shipping
                .plus(beyond)
                .over(Ratio::whole(content.shipping))
                .min(Ratio::ONE),
            money,
            worth_of_units,
            settled,
        }
    }

    /// How the lines of a refund share its money: by the worth of its units, or by price where
    /// no unit came back. `None` if no line can bear any.
    fn weights(&self, refund: &RefundContent) -> Option<[Ratio; 2]> {
        let worth = |index: usize| {
            let now = self.content.line(index);
            let line = if now.halves == 0 { self.highest.1[index] } else { now };
            let units = Ratio::of(refund.halves[index].unwrap_or(0), line.halves);
            units.times(Ratio::whole(line.price))
        };
        let price = |index: usize| {
            let price = refund.halves[index].map(|_| self.content.line(index).price);
            Ratio::whole(price.unwrap_or(0))
        };
        let by_worth = [worth(0), worth(1)];
        let by_price = [price(0), price(1)];
        let bears = |weights: &[Ratio; 2]| weights.iter().any(|weight| !weight.is_zero());
        [by_worth, by_price].into_iter().find(bears)
    }

    /// What is left of a line's price.
    fn left_of_line(&self, back: &Returned, index: usize) -> Ratio {
        let (share, money, _) = back.lines[index];
        Ratio::whole(self.content.line(index).price)
            .times(Ratio::ONE.less(share))
            .less(money)
    }

    /// The share of the goods that came back.
    pub(crate) fn returned_share(&self) -> Ratio {
        if self.refunds.is_empty() {
            return Ratio::ZERO;
        }
        let back = self.returned(false);
        let is_back = |index: &usize| back.lines[*index].0 == Ratio::ONE;
        if (0..2)
            .filter(|index| self.content.line(*index).halves > 0)
            .all(|index| is_back(&index))
        {
            return Ratio::ONE;
        }
        let goods = Ratio::whole(self.content.goods());
        let left = self.left_of_line(&back, 0).plus(self.left_of_line(&back, 1));
        Ratio::ONE.less(left.less(goods.times(back.share)).over(goods))
    }

    /// Nothing of it earns: it is cancelled, or all of it came back.
    fn is_over(&self) -> bool {
        let back = self.returned(false);
        let keeps_shipping = self.basis.shipping
            && self.content.shipping > 0
            && !back.money.is_zero()
            && back.shipping != Ratio::ONE;
        self.cancelled || (!keeps_shipping && self.returned_share() == Ratio::ONE)
    }

    /// The money that is left of what the program counts, and the share of the goods that money
    /// of no line left of them.
    fn left(&self, back: &Returned) -> (Ratio, Ratio) {
        let (tax, is_included) = self.content.tax;
        let goods = self.content.goods();
        let net =
            if is_included && !self.basis.tax { Ratio::of(goods - tax, goods) } else { Ratio::ONE };
        let tax = Ratio::whole(if self.basis.tax && !is_included { tax } else { 0 });
        let shipping = Ratio::whole(if self.basis.shipping { self.content.shipping } else { 0 });

        let taken = Ratio::whole(goods).times(net).plus(tax).times(back.share);
        let lines = self.left_of_line(back, 0).plus(self.left_of_line(back, 1)).times(net);
        let current = lines.plus(tax.times(Ratio::ONE.less(back.share_of_lines)));
        let left = current.less(taken);
        (left.plus(shipping.times(Ratio::ONE.less(back.shipping))), left.over(current))
    }

    pub(crate) fn points(&self) -> i64 {
        if self.is_over() {
            return 0;
        }
        let back = self.returned(self.basis.tax);
        let (money, share) = self.left(&back);
        let mut sum = money;
        if let Some(extras) = self.extras {
            sum = sum.plus(self.items(&back).times(share).times(Ratio::whole(extras.per_item)));
            sum = sum.plus(Ratio::whole(self.points_per_order(&extras, &back, (money, share))));
        }
        sum.times(Ratio::whole(self.factor)).floor()
    }

    /// Whole units that are left of lines that cost something.
    fn items(&self, back: &Returned) -> Ratio {
        let has_some = |index: &usize| !self.left_of_line(back, *index).is_zero();
        let halves = |index: usize| (self.content.line(index).halves - back.lines[index].2).max(0);
        Ratio::whole((0..2).filter(has_some).map(halves).sum::<i64>() / 2)
    }

    /// Points that an order earns at once, as long as any of its goods is left.
    fn points_per_order(
        &self,
        extras: &Extras,
        back: &Returned,
        (money, share): (Ratio, Ratio),
    ) -> i64 {
        let is_left = |index: usize| {
            let line = self.content.line(index);
            let has_price = !self.left_of_line(back, index).is_zero();
            has_price || (line.price == 0 && back.lines[index].2 < line.halves)
        };
        if share.is_zero() || !(is_left(0) || is_left(1)) {
            return 0;
        }

        let mut points = self.pinned_points;
        if Ratio::whole(extras.small.1).is_at_least(money) {
            points += extras.small.0;
        }
        if self.content.by_app && self.content.note >= extras.noted.1 {
            points += extras.noted.0;
        }
        points
    }

    /// What it counts for tiers and goals: ten-thousandths of money, points, and itself.
    pub(crate) fn counts(&self) -> [i64; 3] {
        if self.is_over() {
            return [0; 3];
        }
        let (money, _) = self.left(&self.returned(self.basis.tax));
        let is_order = self.returned_share() != Ratio::ONE;
        [money.times(Ratio::whole(10_000)).floor(), self.points(), i64::from(is_order)]
    }
}
