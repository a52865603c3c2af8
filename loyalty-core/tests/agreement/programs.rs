//! Random programs, for the model and as the document of the engine.

use std::fmt::Write;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::dice::SplitMix64;
use crate::gifts::RewardTerms;
use crate::instant;
use crate::model::{Downgrade, Expiry, Extras, Rules, Tier, Window};
use crate::order::Basis;

/// Whether there is a gift, and whether it is for ever.
fn gift(dice: &mut SplitMix64) -> Option<bool> {
    dice.chance(50).then(|| dice.chance(30))
}

pub(crate) fn rules(dice: &mut SplitMix64) -> Rules {
    let days = |dice: &mut SplitMix64| dice.number(1, 120) as u64;
    let expiry = match dice.number(0, 4) {
        0 => Expiry::Never,
        1 => Expiry::Inactivity {
            days: days(dice),
            earning_and_redeeming_only: dice.chance(50),
        },
        _ => Expiry::PerLot { days: days(dice), to_month_end: dice.chance(30) },
    };

    let down = dice.one_of(&[
        Downgrade::Never,
        Downgrade::OneStep,
        Downgrade::ToQualified,
        Downgrade::ToQualified,
    ]);
    let term = if down == Downgrade::OneStep { Some(days(dice)) } else { dice.days(30, 100) };
    let metric = dice.number(0, 3) as usize;
    let unit = if metric == 2 { 3 } else { 150 };
    let mut threshold = 0;
    let tiers = (0..dice.number(0, 4)).map(|_| {
        threshold += dice.number(1, unit);
        let mut entry = dice
            .chance(60)
            .then(|| (dice.number(1, 40), dice.chance(30), dice.chance(50)));
        let gift = if entry.is_some() { gift(dice) } else { None };
        if let (Some((points, ..)), Some(_)) = (&mut entry, gift)
            && dice.chance(30)
        {
            *points = 0;
        }
        Tier { threshold, factor: dice.number(1, 4), entry, gift }
    });
    let tiers = tiers.collect();
    let windows = [
        Window::Lifetime,
        Window::Year,
        Window::Rolling(dice.number(1, 7) as u32),
        Window::Rolling(2),
    ];
    let times = dice.chance(50);
    let campaign = dice.number(0, 600);
    Rules {
        expiry,
        hold: dice.days(40, 40),
        stop_at_zero: dice.chance(30),
        metric,
        window: dice.one_of(&windows),
        down,
        term,
        grace: dice.days(40, 40),
        skipped: dice.chance(50),
        tiers,
        review: (
            dice.number(1, 30),
            if times { dice.number(1, 4) } else { dice.number(1, 60) },
            times,
            dice.number(0, 5) as usize,
            dice.chance(50),
        ),
        review_hold: dice.days(30, 20),
        birthday: (
            NaiveDate::from_ymd_opt(1992, 2, 1).unwrap() + Days::new(dice.number(0, 60) as u64),
            dice.one_of(&[0, 30]),
            dice.number(1, 50),
        ),
        known_since: start().date() + Days::new(dice.number(0, 40) as u64),
        anniversary: dice.number(1, 50),
        goal_spend: (dice.number(1, 900), dice.number(1, 90)),
        goal_orders: (dice.number(1, 30), dice.number(1, 90)),
        campaign: (dice.number(1, 4), campaign, campaign + dice.number(1, 100)),
        combine: dice.number(0, 3) as usize,
        basis: Basis { tax: dice.chance(30), shipping: dice.chance(30) },
        reward: RewardTerms {
            cost: dice.number(1, 150),
            grace: dice.number(1, 40) as u64,
            cancelled_gives_points: dice.chance(50),
            refunded_gives_points: dice.chance(70),
        },
        goal_gifts: [gift(dice), gift(dice)],
        extras: dice.chance(60).then(|| Extras {
            per_item: dice.number(1, 9),
            first: dice.number(1, 60),
            time: (dice.number(1, 30), [0; 7].map(|_| dice.chance(40)), dice.chance(50)),
            small: (dice.number(1, 30), dice.number(1, 120)),
            noted: (dice.number(1, 30), dice.number(-3, 4)),
            level: (dice.number(1, 30), dice.number(-3, 4)),
        }),
    }
}

/// The rules of the program's document beside the base rule.
fn extra_rules(extras: &Extras) -> String {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let days: Vec<_> = names
        .iter()
        .zip(extras.time.1)
        .filter(|(_, is_in)| *is_in)
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let hours =
        if extras.time.2 { r#", "hours": {"from": "11:30", "until": "24:00"}"# } else { "" };
    // No day at all would be no condition.
    let days = if days.is_empty() {
        String::new()
    } else {
        format!(
            r#", {{"id": "time", "earn": {{"per_order": {}}}, "when": {{"weekdays": [{}]{hours}}}}}"#,
            extras.time.0,
            days.join(",")
        )
    };
    format!(
        r#"{{"id": "items", "earn": {{"per_item": {}}}}},
           {{"id": "first", "earn": {{"per_order": {}}}, "when": {{"first_order": true}}}},
           {{"id": "small", "earn": {{"per_order": {}}}, "when": {{"maximum_spend": {}}}}},
           {{"id": "noted", "earn": {{"per_order": {}}}, "when": {{"channels": ["app"],
             "attributes": [{{"of": "order", "name": "note", "at_least": {}}}]}}}},
           {{"id": "level", "earn": {{"per_order": {}}}, "when": {{
             "attributes": [{{"of": "customer", "name": "level", "at_most": {}}}]}}}}{days}"#,
        extras.per_item,
        extras.first,
        extras.small.0,
        extras.small.1,
        extras.noted.0,
        extras.noted.1,
        extras.level.0,
        extras.level.1,
    )
}

pub(crate) fn start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap().and_time(NaiveTime::MIN)
}

/// The rewards: one that is spent on, and the gift.
fn rewards(terms: &RewardTerms) -> String {
    let RewardTerms { cost, grace, .. } = terms;
    let cancelled = if terms.cancelled_gives_points { "points" } else { "code" };
    let refunded = if terms.refunded_gives_points { "points" } else { "keep" };
    format!(
        r#""rewards": [
            {{"id": "five", "name": "Five", "cost": {cost}, "gives": {{"fixed_amount": 5}}}},
            {{"id": "cup", "name": "Cup", "cost": 9, "gives": "custom"}}],
        "redemption": {{"grace": "P{grace}D", "order_cancelled": "{cancelled}", "order_refunded": "{refunded}"}},"#
    )
}

fn gift_of(gift: Option<bool>) -> String {
    gift.map_or(String::new(), |is_for_ever| {
        let policy = if is_for_ever { "keep" } else { "take_back" };
        format!(r#", "gift": {{"reward": "cup", "when_undone": "{policy}"}}"#)
    })
}

/// The JSON document of the rules.
pub(crate) fn document(rules: &Rules) -> String {
    let mut text = String::from("{");
    let expiry = match rules.expiry {
        Expiry::Never => r#""never""#.to_owned(),
        Expiry::PerLot { days, to_month_end: false } => {
            format!(r#"{{"per_lot": {{"after": "P{days}D"}}}}"#)
        }
        Expiry::PerLot { days, to_month_end: true } => {
            format!(r#"{{"per_lot": {{"after": "P{days}D", "round_up_to": "month"}}}}"#)
        }
        Expiry::Inactivity { days, earning_and_redeeming_only: dealing_only } => {
            let activity = if dealing_only { "earning_and_redeeming" } else { "any" };
            format!(r#"{{"inactivity": {{"after": "P{days}D", "activity": "{activity}"}}}}"#)
        }
    };

    let period = |name: &str, days: Option<u64>| {
        days.map_or(String::new(), |days| format!(r#""{name}": "P{days}D","#))
    };

    let debt = if rules.stop_at_zero { "stop_at_zero" } else { "allow" };
    write!(text, r#""expiry": {expiry}, "debt": "{debt}", {}"#, period("hold", rules.hold))
        .unwrap();
    let tier = |(rank, tier): (usize, &Tier)| {
        let entry = tier.entry.map_or(String::new(), |(points, each, back)| {
            format!(
                r#", "entry": {{"points": {points}, "each_time": {each}, "taken_back": {back}{}}}"#,
                gift_of(tier.gift)
            )
        });
        let Tier { threshold, factor, .. } = tier;
        format!(
            r#"{{"id": "{rank}", "name": "x", "threshold": {threshold}, "multiplier": {factor}{entry}}}"#
        )
    };

    let tiers: Vec<_> = rules.tiers.iter().enumerate().map(tier).collect();
    let window = match rules.window {
        Window::Lifetime => r#""lifetime""#.to_owned(),
        Window::Year => r#""calendar_year""#.to_owned(),
        Window::Rolling(months) => format!(r#"{{"rolling": "P{months}M"}}"#),
    };

    let metric = ["spend", "points_earned", "orders"][rules.metric];
    let down = match rules.down {
        Downgrade::Never => "never",
        Downgrade::OneStep => "one_step",
        Downgrade::ToQualified => "to_qualified",
    };

    let (term, grace) = (period("term", rules.term), period("grace", rules.grace));
    let (tiers, skipped) = (tiers.join(","), rules.skipped);
    write!(
        text,
        r#""tiers": [{tiers}], "tiering": {{"metric": "{metric}", "window": {window}, {term} {grace}
           "down": "{down}", "skipped_rewards": {skipped}}},"#
    )
    .unwrap();
    let (points, most, times, span, partial) = rules.review;
    let (quota, span) = (
        if times { "times" } else { "points" },
        ["day", "week", "month", "year", "ever"][span],
    );
    let (_, notice, birthday) = rules.birthday;
    let hold = period("hold", rules.review_hold);
    write!(
        text,
        r#""actions": [
            {{"id": "birthday", "kind": {{"birthday": {{"notice_days": {notice}}}}}, "points": {birthday}}},
            {{"id": "anniversary", "kind": "anniversary", "points": {}}},
            {{"id": "spend", "kind": {{"goal_spend": {}}}, "points": {}{}}},
            {{"id": "orders", "kind": {{"goal_orders": {}}}, "points": {}{}}},
            {{"id": "review", "kind": "review", "points": {points}, {hold}
              "limits": [{{"{quota}": {most}, "per": "{span}", "partial": {partial}}}]}}],"#,
        rules.anniversary, rules.goal_spend.0, rules.goal_spend.1, gift_of(rules.goal_gifts[0]),
        rules.goal_orders.0, rules.goal_orders.1, gift_of(rules.goal_gifts[1])
    )
    .unwrap();
    let Basis { tax, shipping } = rules.basis;
    write!(text, r#""basis": {{"tax": {tax}, "shipping": {shipping}}},"#).unwrap();
    text += &rewards(&rules.reward);
    if let Some(extras) = &rules.extras {
        let base = r#"{"id": "base", "earn": {"per_unit": 1}}"#;
        write!(text, r#""earning": [{base}, {}],"#, extra_rules(extras)).unwrap();
    }
    let (factor, from, until) = rules.campaign;
    let at = |half_days: i64| instant(start() + TimeDelta::hours(12 * half_days)).to_rfc3339();
    let combine = ["multiply", "highest", "add"][rules.combine];
    write!(
        text,
        r#""combine": "{combine}", "campaigns": [{{"id": "c", "effect": {{"multiplier": {factor}}},
            "from": "{}", "until": "{}"}}]}}"#,
        at(from),
        at(until)
    )
    .unwrap();
    text
}
