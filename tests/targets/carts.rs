//! Price rules and a cart. Each part but the last is a rule with the code `code1`,
//! `code2`, …; the last is the cart. Discounts must add up, and no line may cost less
//! than zero.

use rust_decimal::Decimal;
use serde_json::Value;

use super::server::FuzzServer;
use super::split_parts;

pub(super) fn run(data: &[u8]) -> bool {
    let mut server = FuzzServer::new();
    let parts = split_parts(data);
    let Some((cart, rules)) = parts.split_last() else { return false };

    for (number, rule) in (1..).zip(rules) {
        if let Some((201, rule)) = server.send_json("POST", "/v1/price-rules", rule) {
            let id = rule
                .get("price_rule_id")
                .or(rule.get("id"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            let code = format!("{{\"code\":\"code{number}\"}}");
            server.send_json(
                "POST",
                &format!("/v1/price-rules/{id}/discount-codes"),
                code.as_bytes(),
            );
        }
    }

    let Some((200, response)) = server.send_json("POST", "/v1/carts/evaluate", cart) else {
        return false;
    };
    assert_adds_up(&response);
    true
}

fn assert_adds_up(response: &Value) {
    let list = |name: &str| {
        response
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let totals: Vec<Value> = list("lines").into_iter().chain(list("shipping")).collect();
    for total in &totals {
        let (amount, discount, remaining) = (
            parse_amount(total, "amount"),
            parse_amount(total, "discount"),
            parse_amount(total, "left"),
        );
        assert!(
            remaining >= Decimal::ZERO && amount.checked_sub(discount) == Some(remaining),
            "{total}"
        );
    }
    let sum = |values: &[Value], name: &str| {
        values.iter().fold(Decimal::ZERO, |sum, value| {
            sum.checked_add(parse_amount(value, name)).expect("a sum")
        })
    };

    assert_eq!(parse_amount(response, "discount"), sum(&totals, "discount"), "{response}");
    assert_eq!(parse_amount(response, "total"), sum(&totals, "left"), "{response}");

    let applied: Vec<Value> = list("codes")
        .into_iter()
        .filter(|code| code["applied"] == true)
        .collect();
    assert_eq!(parse_amount(response, "discount"), sum(&applied, "discount"), "{response}");

    for code in &applied {
        let shares = code
            .get("shares")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        assert_eq!(parse_amount(code, "discount"), sum(&shares, "amount"), "{code}");
    }
}

fn parse_amount(value: &Value, name: &str) -> Decimal {
    let text = value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {name} in {value}"));
    text.parse()
        .unwrap_or_else(|error| panic!("{name} is {text}: {error}"))
}
