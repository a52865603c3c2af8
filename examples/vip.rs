//! A year of a customer, month by month: tiers, expiry of points, a birthday, a referral.
//!
//! Uses a store in memory and a clock set by the example. Prints the events of the shop's
//! commands and those that time alone causes. Run with `cargo run --example vip`.

use std::error::Error;
use std::sync::Arc;

use loyalty_core::program::EmailProof;
use loyalty_core::{
    Attributes, Command, Currency, CustomerId, Event, Line, LineId, Order, OrderId, Origin,
    Program, Quantity, Refund, RefundId, ShopId, Status, Timestamp, Zone,
};
use loyalty_store::{
    Action, CustomerRef, EmailConflict, Existence, FieldChange, MemoryStore, NewShop,
    ProfileChange, Receipt, Reply, Request, Store,
};

const PROGRAM: &str = r#"{
    "expiry": {"per_lot": {"after": "P6M", "round_up_to": "month"}},
    "hold": "P14D",
    "tiers": [
        {"id": "silver", "name": "Silver", "threshold": "200", "multiplier": "1.5", "entry": {"points": 25}},
        {"id": "gold", "name": "Gold", "threshold": "500", "multiplier": "2", "entry": {"points": 100}}
    ],
    "tiering": {"window": {"rolling": "P6M"}, "grace": "P1M"},
    "actions": [
        {"id": "hello", "kind": "sign_up", "points": 50},
        {"id": "cake", "kind": "birthday", "points": 75},
        {"id": "years", "kind": "anniversary", "points": 30},
        {"id": "review", "kind": "review", "points": 10, "limits": [{"points": 15, "per": "month", "partial": true}]}
    ],
    "referrals": {"sent": 150, "received": 50, "hold": "P30D"}
}"#;

type ExampleResult = Result<(), Box<dyn Error>>;

fn main() -> ExampleResult {
    let mut year = YearSimulation::new()?;
    year.start_month("2026-01", "Ada signs up and gives her birthday.")?;
    year.sign_up("ada", Some("1990-05-04"))?;
    year.record_order("ada", "1001", "120.00")?;

    year.start_month("2026-02", "She buys more, which makes her Silver from the next order on.")?;
    year.record_order("ada", "1002", "90.00")?;

    year.start_month(
        "2026-03",
        "Two reviews; the second reaches the month's limit. She asks for a code for friends.",
    )?;
    year.perform_review("ada")?;
    year.perform_review("ada")?;
    let code = year.issue_referral_code("ada")?;

    year.start_month("2026-04", "Bob joins by her code, and orders.")?;
    year.sign_up("bob", None)?;
    year.join("bob", &code)?;
    year.record_order("bob", "2001", "60.00")?;

    year.start_month(
        "2026-05",
        "Her birthday, and a big order at one and a half points a unit, as Silver.",
    )?;
    year.record_order("ada", "1003", "320.00")?;

    year.start_month("2026-06", "She returns part of it, which revokes Gold immediately.")?;
    year.refund("1003", "R1", "200.00")?;

    year.start_month("2026-07", "She spends points on a cup before the first of them expire.")?;
    year.spend("ada", 200)?;

    for month in ["2026-08", "2026-09", "2026-10", "2026-11", "2026-12"] {
        year.start_month(month, "No activity.")?;
    }

    year.start_month("2027-01", "A year since her first order.")?;
    year.end_month()
}

/// A shop, its clock, and the sequence number of the last journal row printed.
struct YearSimulation {
    store: MemoryStore,
    shop: ShopId,
    zone: Zone,
    now: Timestamp,
    printed: i64,
}

impl YearSimulation {
    fn new() -> Result<Self, Box<dyn Error>> {
        let (store, now) = (MemoryStore::default(), "2026-01-01T00:00:00Z".parse()?);
        let zone = "Europe/Berlin".parse()?;
        let shop = store
            .create_shop(&NewShop { name: "Tea".to_owned(), currency: Currency::EUR, zone }, now)?
            .id;
        let year = Self { store, shop, zone, now, printed: 0 };
        let program = Program::from_json(PROGRAM)?;

        year.execute(Action::PublishProgram { program: Box::new(program), replaces: None })?;
        Ok(year)
    }

    /// Advances to the month's start, prints the headline, and advances to noon of its
    /// tenth day.
    fn start_month(&mut self, month: &str, sentence: &str) -> ExampleResult {
        self.advance_to(&format!("{month}-01T00:00:00Z"))?;
        println!("\n{month}  {sentence}");
        self.advance_to(&format!("{month}-10T12:00:00Z"))
    }

    fn end_month(&mut self) -> ExampleResult {
        self.advance_to("2027-02-01T00:00:00Z")?;
        self.print_status()
    }

    /// Moves the clock and records all that is due by then, as the server's scheduler
    /// does.
    fn advance_to(&mut self, until: &str) -> ExampleResult {
        self.now = until.parse()?;
        loop {
            let due = self.store.due(self.now, None, 10)?;
            if due.is_empty() {
                break;
            }
            for due in due {
                self.execute(Action::CatchUp(due.account))?;
            }
        }
        self.print_new_events()
    }

    fn sign_up(&mut self, name: &str, birthday: Option<&str>) -> ExampleResult {
        let change = ProfileChange {
            birthday: birthday.map_or(Ok(FieldChange::Keep), |day| {
                day.parse().map(|day| FieldChange::Set(Some(day)))
            })?,
            ..ProfileChange::default()
        };
        self.execute(Action::Customer {
            customer: customer_ref(name)?,
            existence: Existence::Absent,
            change,
            email_conflict: EmailConflict::Reject,
            email_proof: EmailProof::Profile,
            if_match: None,
            commands: vec![Command::SignUp],
        })?;
        self.print_new_events()
    }

    fn record_order(&mut self, name: &str, order: &str, total: &str) -> ExampleResult {
        let (line, amount) = (LineId::new("1")?, total.parse()?);
        let line = Line {
            id: line,
            product: None,
            categories: Vec::new(),
            quantity: Quantity::from(1),
            amount,
            gift_card: false,
            attributes: Attributes::EMPTY,
        };
        let snapshot = Arc::new(Order { lines: vec![line], total: amount, ..Order::default() });
        let (order, status, origin) = (OrderId::new(order)?, Status::Paid, Origin::Shop);
        let command = Command::RecordOrder { order, snapshot, status, at: None, origin };
        self.execute(Action::Order {
            command,
            customer: Some(customer_ref(name)?),
            change: ProfileChange::default(),
        })?;
        self.print_new_events()
    }

    fn refund(&mut self, order: &str, refund: &str, amount: &str) -> ExampleResult {
        let refund = Refund::of_amount(RefundId::new(refund)?, amount.parse()?);
        let (order, excess) = (OrderId::new(order)?, loyalty_core::OverRefund::Reject);
        let command = Command::RefundOrder { order, refund, over_refund: excess, at: None };
        self.execute(Action::Order { command, customer: None, change: ProfileChange::default() })?;
        self.print_new_events()
    }

    fn perform_review(&mut self, name: &str) -> ExampleResult {
        let review = Command::PerformAction { action: "review".parse()?, points: None };
        self.execute(Action::for_customer(customer_ref(name)?, Existence::Required, vec![review]))?;
        self.print_new_events()
    }

    fn spend(&mut self, name: &str, points: u32) -> ExampleResult {
        let spend = Command::SubtractPoints {
            points: points.into(),
            reason: loyalty_core::AdjustmentReason::default(),
        };
        self.execute(Action::for_customer(customer_ref(name)?, Existence::Required, vec![spend]))?;
        self.print_new_events()
    }

    /// A server draws the entropy at random.
    fn issue_referral_code(&mut self, name: &str) -> Result<String, Box<dyn Error>> {
        let issue = Command::IssueReferralCode { entropy: *b"ada's code" };
        let receipt = self.execute(Action::for_customer(
            customer_ref(name)?,
            Existence::Required,
            vec![issue],
        ))?;
        self.print_new_events()?;
        let customer = receipt.customer.ok_or("no customer in the receipt")?;
        Ok(customer
            .account()
            .activity()
            .referral_code()
            .unwrap_or_default()
            .to_owned())
    }

    fn join(&mut self, name: &str, code: &str) -> ExampleResult {
        let (customer, change, code) =
            (customer_ref(name)?, ProfileChange::default(), code.to_owned());
        self.execute(Action::JoinReferral { customer, change, code })?;
        self.print_new_events()
    }

    fn execute(&self, action: Action) -> Result<Receipt, Box<dyn Error>> {
        let (shop, now) = (self.shop, self.now);
        let request = Request {
            shop,
            now,
            dry_run: false,
            idempotency: None,
            entropy: None,
            action,
        };
        match self.store.execute(request).wait()? {
            Reply::Decided(outcome) => Ok(outcome?),
            Reply::Stored { .. } => Err("a stored response to a request without a key".into()),
        }
    }

    /// Prints the events of the journal rows since the last call.
    fn print_new_events(&mut self) -> ExampleResult {
        for row in self.store.journal(self.shop, self.printed, 1_000)? {
            self.printed = row.seq;
            let customer = row
                .account
                .map(|account| self.store.customer_by_account(self.shop, account))
                .transpose()?;
            let name = customer.flatten().and_then(|customer| customer.record().id.clone());

            for event in row.events.iter() {
                let day = self.zone.local(event.at().unwrap_or(row.at))?.format("%d %b");
                if let (Some(sentence), Some(name)) = (describe_event(event), &name) {
                    println!("  {day}  {name}: {sentence}");
                }
            }
        }
        Ok(())
    }

    /// Prints Ada's balance and tier, and the next expiry if she does nothing.
    fn print_status(&self) -> ExampleResult {
        let ada = self
            .store
            .customer(self.shop, &customer_ref("ada")?)?
            .ok_or("Ada does not exist")?;

        let status = ada.tier_status(self.now);
        let tier = status
            .tier
            .map_or_else(|| "no tier".to_owned(), |tier| tier.to_string());
        println!("\nAda has {} points and {tier}.", ada.balance(self.now));

        if let Some(lot) = ada.as_of(self.now).lots().iter().next()
            && let Some(end) = lot.expires_at
        {
            println!("{} of them expire on {}.", lot.points, self.zone.local(end)?.date());
        }

        let verified = self.store.verify()?;
        println!(
            "{} journal rows, replayed: {} differences.",
            verified.rows,
            verified.differences.len()
        );
        Ok(())
    }
}

fn customer_ref(name: &str) -> Result<CustomerRef, Box<dyn Error>> {
    Ok(CustomerRef::Id(CustomerId::new(name)?))
}

/// A sentence for the event, or `None` if it changes neither points nor tier.
fn describe_event(event: &Event) -> Option<String> {
    if let Event::PointsAwarded { calculation, lot, .. } = event {
        let pending = lot.as_ref().and_then(|lot| lot.pending_until);
        let suffix = pending
            .map_or_else(String::new, |until| format!(" Pending until {}.", until.format("%d %b")));
        Some(format!("{calculation}{suffix}"))
    } else if let Event::PointsTakenBack { calculation, .. } = event {
        Some(calculation.to_string())
    } else if let Event::AwardGiven { award, points, .. } = event {
        Some(award.explain(*points))
    } else if let Event::AwardTakenBack { reason, .. } = event {
        Some(format!("The bonus {reason} is taken back."))
    } else if let Event::PointsExpired { points, .. } = event {
        Some(format!("{points} points expire unspent."))
    } else if let Event::PointsReleased { points, .. } = event {
        Some(format!("{points} pending points become available."))
    } else if let Event::PointsSubtracted { .. } = event {
        Some(format!("{} points are spent.", event.points().negated()))
    } else if let Event::TierChanged { change } = event {
        Some(change.to_string())
    } else if let Event::TierLapsed { tier, until, .. } = event {
        Some(format!(
            "Recent spending is below tier {tier}; it is kept until {}.",
            until.format("%d %b")
        ))
    } else if let Event::TierRetained { tier, .. } = event {
        Some(format!("Qualifies again for tier {tier}."))
    } else if let Event::ReferralCodeIssued { code, .. } = event {
        Some(format!("Has the code {code} for friends."))
    } else if let Event::ReferralJoined { .. } = event {
        Some("Joined by a friend's code.".to_owned())
    } else {
        None
    }
}
