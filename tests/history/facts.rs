//! The orders of the sample file as facts at their own times, for the library and for the
//! server.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use loyalty_core::{
    Attributes, CategoryId, Line, LineId, Order, Origin, ProductId, Quantity, Status, Timestamp,
};
use loyalty_store::{Action, CustomerRef, FieldChange, ProfileChange};
use loyalty_tests::*;
use serde::Deserialize;
use serde_json::{Value, json};

/// Another file than the committed sample, plain or `.gz`.
const ORDERS: &str = "LOYALTY_ORDERS";
const SAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/orders-3-customers.ndjson");
/// The file has no refunds: every twentieth paid order is refunded in full, ten days later.
const REFUND_EVERY: usize = 20;
const REFUND_AFTER_DAYS: i64 = 10;

/// A fact that the shop reports: an order, or its full refund.
pub(crate) struct OrderFact {
    /// The instant of the fact.
    pub(crate) at: Timestamp,
    order: Arc<SampleOrder>,
    is_refund: bool,
}

/// An order of the file. Members that no rule uses are left out.
#[derive(Deserialize)]
struct SampleOrder {
    order_id: String,
    customer_id: String,
    placed_at: Timestamp,
    total: String,
    lines: Vec<SampleLine>,
}

#[derive(Deserialize)]
struct SampleLine {
    product_id: String,
    quantity: u32,
    amount: String,
    category: Option<String>,
}

/// All facts, oldest first.
pub(crate) fn read() -> Vec<OrderFact> {
    let path = std::env::var_os(ORDERS).map_or_else(|| SAMPLE.into(), PathBuf::from);
    let file = File::open(&path).unwrap();

    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let text: Box<dyn Read> =
        if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    // Python writes NaN for missing values; JSON has null for them.

    let lines = BufReader::new(text)
        .lines()
        .map(|line| line.unwrap().replace("\":NaN", "\":null"));

    let sales: Vec<Arc<SampleOrder>> = lines
        .map(|line| Arc::new(serde_json::from_str(&line).unwrap()))
        .collect();

    let orders_placed = sales.iter().map(|sale| OrderFact {
        at: sale.placed_at,
        order: Arc::clone(sale),
        is_refund: false,
    });

    let paid = sales
        .iter()
        .filter(|sale| sale.total.bytes().any(|byte| matches!(byte, b'1'..=b'9')));
    let refunds = paid.step_by(REFUND_EVERY).map(|sale| {
        let at = sale.placed_at.timestamp() + REFUND_AFTER_DAYS * 86_400;
        let at = Timestamp::from_timestamp(at, 0).unwrap();
        OrderFact { at, order: Arc::clone(sale), is_refund: true }
    });

    let mut facts: Vec<OrderFact> = orders_placed.chain(refunds).collect();
    facts.sort_by_key(|fact| fact.at);
    facts
}

/// The customers of the facts.
pub(crate) fn customers(facts: &[OrderFact]) -> BTreeSet<&str> {
    facts.iter().map(|fact| fact.order.customer_id.as_str()).collect()
}

impl OrderFact {
    pub(crate) fn is_refund(&self) -> bool {
        self.is_refund
    }

    /// The fact as an action of the store.
    pub(crate) fn action(&self) -> Action {
        let sale = &*self.order;
        if self.is_refund {
            return order_action(None, refund(&sale.order_id, "all", &sale.total));
        }
        let command = loyalty_core::Command::RecordOrder {
            order: order_id(&sale.order_id),
            snapshot: Arc::new(sale.snapshot()),
            status: Status::Paid,
            at: Some(self.at),
            origin: Origin::Shop,
        };

        let birthday = FieldChange::Set(sale.birthday().parse().ok());
        let change = ProfileChange { birthday, ..ProfileChange::default() };
        let customer: Option<CustomerRef> = Some(id(&sale.customer_id));
        Action::Order { command, customer, change }
    }

    /// The fact as an HTTP request: method, path and body.
    pub(crate) fn request(&self) -> (&'static str, String, String) {
        let sale = &*self.order;
        let path = format!("/v1/orders/{}", sale.order_id);

        if self.is_refund {
            let body = json!({"refund_id": "all", "amount": sale.total});
            return ("POST", format!("{path}/refunds"), body.to_string());
        }
        let body = json!({
            "customer": {"customer_id": sale.customer_id, "birthday": sale.birthday()},
            "status": "paid",
            "placed_at": sale.placed_at,
            "updated_at": sale.placed_at,
            "lines": sale.lines.iter().map(SampleLine::body).collect::<Vec<_>>(),
            "total": sale.total,
        });
        ("PUT", path, body.to_string())
    }
}

impl SampleOrder {
    fn snapshot(&self) -> Order {
        let lines = self.lines.iter().zip(1_u32..).map(|(item, position)| Line {
            id: LineId::new(position.to_string()).unwrap(),
            product: Some(ProductId::new(&item.product_id).unwrap()),
            categories: item
                .category
                .iter()
                .map(|category| CategoryId::new(category).unwrap())
                .collect(),
            quantity: Quantity::new(item.quantity.into()).unwrap(),
            amount: item.amount.parse().unwrap(),
            gift_card: false,
            attributes: Attributes::EMPTY,
        });
        let (lines, total) = (lines.collect(), self.total.parse().unwrap());
        Order {
            placed_at: Some(self.placed_at),
            lines,
            total,
            ..Order::default()
        }
    }

    /// Derived from the customer id, so that it is the same in every run.
    fn birthday(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.customer_id.hash(&mut hasher);
        let number = hasher.finish();
        // Some on 29 February, which few years have.
        let (month, day) = if number.is_multiple_of(97) {
            (2, 29)
        } else {
            (1 + number % 12, 1 + number / 12 % 28)
        };
        format!("1980-{month:02}-{day:02}")
    }
}

impl SampleLine {
    fn body(&self) -> Value {
        let categories: Vec<_> = self.category.iter().collect();
        json!({"product_id": self.product_id, "categories": categories,
               "quantity": self.quantity, "amount": self.amount})
    }
}
