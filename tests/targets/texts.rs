//! Values that are written as text. A value that parses must be written as text that
//! parses to the same value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use loyalty_core::discount::Code;
use loyalty_core::order::Quantity;
use loyalty_core::program::normalize_code;
use loyalty_core::{
    Amount, CustomerId, Email, OrderId, Period, Points, ProductId, Rate, Tag, Timestamp, Zone,
};
use loyalty_store::SearchQuery;

pub(super) fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let mut accepted = 0;
    accepted += u32::from(round_trip::<Amount>(text));
    accepted += u32::from(round_trip::<Rate>(text));
    accepted += u32::from(round_trip::<Quantity>(text));
    accepted += u32::from(round_trip::<Period>(text));
    accepted += u32::from(round_trip::<CustomerId>(text));
    accepted += u32::from(round_trip::<OrderId>(text));
    accepted += u32::from(round_trip::<ProductId>(text));
    accepted += u32::from(round_trip::<Tag>(text));

    if let Ok(email) = Email::new(text) {
        assert_eq!(Email::new(email.as_str()).as_ref(), Ok(&email));
        accepted += 1;
    }

    if let Ok(code) = Code::new(text) {
        let reparsed = Code::new(code.as_str()).expect("a code");
        assert_eq!((reparsed.key(), reparsed.as_str()), (code.key(), code.as_str()));
        accepted += 1;
    }

    if let Ok(zone) = text.parse::<Zone>() {
        assert_eq!(zone.name().parse(), Ok(zone));
        accepted += 1;
    }

    if let Ok(number) = text.parse() {
        // Only panics matter: points have a range.
        let _in_range = Points::new(number);
    }

    let now = Timestamp::from_timestamp(super::server::NOW, 0).expect("an instant");
    if let Ok(search) = SearchQuery::parse(text, now, Zone::UTC) {
        assert_eq!(search.text(), text);
        accepted += 1;
    }
    let _folded = normalize_code(text);
    accepted > 0
}

fn round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    let written = value.to_string();
    assert!(
        written.parse::<T>().is_ok_and(|reparsed| reparsed == value),
        "{text} is written as {written}"
    );
    true
}
