//! Lots as one text of digits: of each its number, its points, when it was earned, when it ends and when it is released
//! (0 where it never does, else 1 and the instant), and its order, in no words where there is none.

use crate::account::Lot;
use crate::account::digits::{Numbers, Text};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};

/// About so many lots.
pub(in crate::account) fn spell<'a>(lots: impl Iterator<Item = &'a Lot>, count: usize) -> String {
    let (mut text, mut before) = (Text::with_capacity(count.saturating_mul(40)), Before::default());
    for lot in lots {
        text.put_natural(u64::from(lot.id.0));
        text.put(lot.points.get());
        text.put_instant(lot.earned_at, &mut before.earned);
        for (at, before) in
            [(lot.expires_at, &mut before.ends), (lot.pending_until, &mut before.released)]
        {
            text.put_natural(u64::from(at.is_some()));
            if let Some(at) = at {
                text.put_instant(at, before);
            }
        }
        text.put_words(lot.order.as_ref().map_or("", OrderId::as_str));
    }
    text.into_string()
}

/// What a text says; none where it is of something else.
pub(in crate::account) fn read(text: &str) -> Option<Vec<Lot>> {
    let (mut lots, mut before, mut numbers) = (Vec::new(), Before::default(), Numbers::of(text));
    while !numbers.is_empty() {
        let id = LotId(u32::try_from(numbers.natural()?).ok()?);
        let points = Points::new(numbers.number()?)?;
        let earned_at = numbers.instant(&mut before.earned)?;
        let expires_at = instant_if_any(&mut numbers, &mut before.ends)?;
        let pending_until = instant_if_any(&mut numbers, &mut before.released)?;
        let order = Some(numbers.words()?).filter(|words| !words.is_empty());
        let order = order.map(OrderId::new).transpose().ok()?;
        lots.push(Lot { id, order, points, earned_at, expires_at, pending_until });
    }
    Some(lots)
}

/// The seconds of the lot before.
#[derive(Default)]
struct Before {
    earned: i64,
    ends: i64,
    released: i64,
}

#[expect(clippy::option_option, reason = "none where there is no text of one")]
fn instant_if_any(numbers: &mut Numbers<'_>, before: &mut i64) -> Option<Option<Timestamp>> {
    match numbers.natural()? {
        0 => Some(None),
        1 => Some(Some(numbers.instant(before)?)),
        _ => None,
    }
}
