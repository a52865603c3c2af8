//! The text codec of lots: number, points, the instant at which it was earned, expiry and
//! release (0 without one, else 1 and the instant), and its order (empty without one).
//! A lot of an import has 2 more in the place of the release, and ends with the import.

use crate::account::vlq::{VlqReader, VlqWriter};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{ImportId, LotId, OrderId};
use crate::lot::Lot;

/// Marks a lot of an import, in the place of the release.
const OF_IMPORT: u64 = 2;

/// Encodes lots. `count` is their expected number, for the capacity.
pub(in crate::account) fn encode<'a>(lots: impl Iterator<Item = &'a Lot>, count: usize) -> String {
    let (mut text, mut before) =
        (VlqWriter::with_capacity(count.saturating_mul(40)), PreviousInstants::default());
    for lot in lots {
        text.write_unsigned(u64::from(lot.id.0));
        text.write_signed(lot.points.get());
        text.write_instant(lot.earned_at, &mut before.earned);
        let imported = if lot.import.is_some() { OF_IMPORT } else { 0 };
        for (at, before, flag) in [
            (lot.expires_at, &mut before.ends, 0),
            (lot.pending_until, &mut before.released, imported),
        ] {
            text.write_unsigned(u64::from(at.is_some()) | flag);
            if let Some(at) = at {
                text.write_instant(at, before);
            }
        }
        text.write_str(lot.order.as_ref().map_or("", OrderId::as_str));
        if let Some(import) = &lot.import {
            text.write_str(import.as_str());
        }
    }
    text.into_string()
}

/// Decodes lots. `None` if the text is no list of lots.
pub(in crate::account) fn decode(text: &str) -> Option<Vec<Lot>> {
    let (mut lots, mut before, mut numbers) =
        (Vec::new(), PreviousInstants::default(), VlqReader::new(text));
    while !numbers.is_empty() {
        let id = LotId(u32::try_from(numbers.read_unsigned()?).ok()?);
        let points = Points::new(numbers.read_signed()?)?;
        let earned_at = numbers.read_instant(&mut before.earned)?;
        let flag = numbers.read_unsigned()?;
        let expires_at = read_optional_instant(flag, &mut numbers, &mut before.ends)?;
        let flag = numbers.read_unsigned()?;
        let released = flag & !OF_IMPORT;
        let pending_until = read_optional_instant(released, &mut numbers, &mut before.released)?;
        let order = Some(numbers.read_str()?).filter(|text| !text.is_empty());
        let order = order.map(OrderId::new).transpose().ok()?;
        let import = match flag & OF_IMPORT {
            0 => None,
            _ => Some(ImportId::new(numbers.read_str()?).ok()?),
        };
        lots.push(Lot {
            id,
            order,
            import,
            points,
            earned_at,
            expires_at,
            pending_until,
        });
    }
    Some(lots)
}

/// The seconds of the previous lot's instants.
#[derive(Default)]
struct PreviousInstants {
    earned: i64,
    ends: i64,
    released: i64,
}

#[expect(clippy::option_option, reason = "the outer one is a failure to decode")]
fn read_optional_instant(
    flag: u64,
    numbers: &mut VlqReader<'_>,
    before: &mut i64,
) -> Option<Option<Timestamp>> {
    match flag {
        0 => Some(None),
        1 => Some(Some(numbers.read_instant(before)?)),
        _ => None,
    }
}
