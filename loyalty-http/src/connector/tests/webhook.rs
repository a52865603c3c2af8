//! Signatures and the money of orders and refunds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

use loyalty_core::{Currency, Line};
use rust_decimal::Decimal;

use super::{OrderMoney, ShopCurrency, build_order, is_signed};

const EURO: ShopCurrency = ShopCurrency { currency: Currency::EUR, minor_digits: 2 };

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn amounts(lines: &[&str], total: &str, tax: &str, taxes_included: bool) -> (Vec<String>, String) {
    let lines = lines.iter().zip(1_u32..).map(|(amount, id)| {
        let line = Line::new(id.to_string().parse().unwrap(), "0".parse().unwrap());
        (line, decimal(amount))
    });
    let money = OrderMoney {
        total: decimal(total),
        tax: decimal(tax),
        taxes_included,
        presentment: None,
    };
    let order = build_order(lines.collect(), &money, EURO).unwrap();
    let amounts = order.lines.iter().map(|line| line.amount.to_string()).collect();
    (amounts, order.shipping.to_string())
}

#[test]
fn what_is_beyond_goods_and_tax_is_shipping() {
    let expected = |lines: &[&str], shipping: &str| {
        (lines.iter().map(ToString::to_string).collect::<Vec<_>>(), shipping.to_owned())
    };
    assert_eq!(amounts(&["20", "10"], "36.30", "1.30", false), expected(&["20", "10"], "5.00"));
    assert_eq!(amounts(&["20", "10"], "35", "5", true), expected(&["20", "10"], "5"));
    assert_eq!(amounts(&["10.005"], "10.01", "0", false), expected(&["10.01"], "0.00"));
}

#[test]
fn lines_that_are_more_than_was_paid_are_cut_in_proportion() {
    let (lines, shipping) = amounts(&["30", "10"], "20", "0", false);
    assert_eq!((lines, shipping), (vec!["15".to_owned(), "5".to_owned()], "0".to_owned()));
    let (lines, _) = amounts(&["10", "10", "10"], "10", "0", false);
    assert_eq!(lines, ["3.34", "3.33", "3.33"]);
}

#[test]
fn a_signature_is_of_the_bytes_and_the_secret() {
    // echo -n '{"id":1}' | openssl dgst -sha256 -hmac secret -binary | base64
    let signature = "A971iWIMgT8Zj9A9eWfikrFj7wQ16/Qwcc4OlRl2PLc=";
    assert!(is_signed(b"{\"id\":1}", signature, b"secret"));
    assert!(!is_signed(b"{\"id\":1} ", signature, b"secret"));
    assert!(!is_signed(b"{\"id\":1}", signature, b"Secret"));
    assert!(!is_signed(b"{\"id\":1}", "", b"secret"));
    assert!(!is_signed(b"{\"id\":1}", "not base64", b"secret"));
}
