//! Reads. Those that take `now` are right without any job that writes expiries down.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use crate::account::{Account, Usage};
use crate::amount::Points;
use crate::attribute::Attributes;
use crate::calendar::{Timestamp, Zone};
use crate::customer::Birthday;
use crate::explain::Explanation;
use crate::id::{OrderId, ProgramVersion, RedemptionId, RewardId, Tag};
use crate::order::{OrderState, Pin};
use crate::program::Program;
use crate::query::{RewardOffer, as_of, next_due, reward_offers, tier_status};
use crate::redemption::Redemption;
use crate::rules::entitle::entitlement;
use crate::tier::TierStatus;

impl Ledger {
    /// The points that can be spent at `now`; below zero while there is debt.
    ///
    /// # Example: points end in time, without any job
    /// ```
    /// use loyalty_core::*;
    /// let yearly = r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#;
    /// let mut ledger = Ledger::new(Program::from_json(yearly)?);
    /// ledger.add(Points::from(250), "welcome", "2026-01-31T10:00:00Z".parse()?)?;
    /// assert_eq!(ledger.balance("2027-01-31T09:59:59Z".parse()?), Points::from(250));
    /// assert_eq!(ledger.balance("2027-01-31T10:00:00Z".parse()?), Points::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn balance(&self, now: Timestamp) -> Points {
        self.as_of(now).balance(now)
    }

    /// The points that are earned, but not yet to be spent at `now`.
    ///
    /// # Example: points of an order are pending for two weeks
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::from_json(r#"{"hold": "P14D"}"#)?);
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// ledger.record_order(&"1001".parse()?, order, Status::Paid, now)?;
    /// assert_eq!((ledger.pending(now), ledger.balance(now)), (Points::from(49), Points::ZERO));
    ///
    /// let later = "2026-02-14T10:00:00Z".parse()?;
    /// assert_eq!((ledger.pending(later), ledger.balance(later)), (Points::ZERO, Points::from(49)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pending(&self, now: Timestamp) -> Points {
        self.as_of(now).pending(now)
    }

    /// The account at `now`: as the last event left it, plus all that was due since.
    ///
    /// With a `now` in the future, as it will be if nothing else happens.
    ///
    /// # Example: the lots of an account
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// let account = ledger.as_of(now);
    /// let lots: Vec<_> = account.lots().iter().map(|lot| (lot.points, lot.expires_at)).collect();
    /// assert_eq!(lots, [(Points::from(250), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_of(&self, now: Timestamp) -> Account {
        self.with_context(None, now, as_of)
    }

    /// The VIP tier at `now`, and how far the next one is.
    ///
    /// # Example: what is missing for gold
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let gold = r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "500"}]}"#;
    /// let ledger = Ledger::new(Program::from_json(gold)?);
    /// let (tier, missing) = ledger.tier_status(now).next.unwrap();
    /// assert_eq!((tier.as_str(), missing), ("gold", 5_000_000)); // ten-thousandths of a unit
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tier_status(&self, now: Timestamp) -> TierStatus {
        self.with_context(None, now, tier_status)
    }

    /// The rewards of the program in force at `now`, in its order, each with its price and every
    /// reason why the customer cannot have it.
    ///
    /// # Example: how many points are missing
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"rewards": [
    ///     {"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}}
    /// ]}"#)?;
    /// let mut ledger = Ledger::new(program);
    /// ledger.add(Points::from(400), "welcome", now)?;
    /// let offers = ledger.offers(now);
    /// assert_eq!((offers[0].is_available(), offers[0].missing_points), (false, Points::from(100)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offers(&self, now: Timestamp) -> Vec<RewardOffer> {
        self.with_context(None, now, |context| {
            reward_offers(context, |reward| self.usage.get(reward).copied())
        })
    }

    /// The points that an order is worth now, line by line, under the program that it earns under.
    ///
    /// `None` for an order of which no event is known. Costs one evaluation of the rules.
    ///
    /// # Example: a sentence for the customer
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// ledger.record_order(&id, order, Status::Processing, now)?;
    /// assert_eq!(
    ///     ledger.explain(&id).unwrap().to_string(),
    ///     "The order earns nothing before it is paid."
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, order: &OrderId) -> Option<Explanation> {
        let state = self.orders.get(order)?;

        // Before it has earned, an order would do so under the latest program.
        let latest = super::version_of(self.later_programs.len());
        let unpinned = Pin::new(latest, Timestamp::UNIX_EPOCH);
        let pin = state.pin().unwrap_or(&unpinned);

        // An order whose worth could not be counted was rejected when it was recorded.
        entitlement(state, self.program(pin.program)?, pin).ok()
    }

    /// When something happens by itself next: an expiry, a release, a birthday. `None` if nothing
    /// will. In the past, if [`Ledger::catch_up`] has not written it down yet.
    ///
    /// # Example: when the first points end
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let yearly = r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#;
    /// let mut ledger = Ledger::new(Program::from_json(yearly)?);
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// assert_eq!(ledger.next_due(), Some("2027-01-31T10:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_due(&self) -> Option<Timestamp> {
        // The last program's instant, so that all programs are on the timeline.
        let last = self.later_programs.last().map(|(from, _)| *from);
        self.with_context(None, last.unwrap_or_default(), next_due)
    }

    /// The account as the last event left it. For the account at an instant see [`Ledger::as_of`].
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The facts about an order, and the points it has posted.
    ///
    /// # Example: the points that an order has posted
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    /// let state = ledger.order(&id).unwrap();
    /// assert_eq!((state.status(), state.posted().awarded), (Some(Status::Paid), Points::from(49)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn order(&self, id: &OrderId) -> Option<&OrderState> {
        self.orders.get(id)
    }

    /// All orders by the shop's id.
    pub fn orders(&self) -> &BTreeMap<OrderId, OrderState> {
        &self.orders
    }

    /// One redemption.
    pub fn redemption(&self, id: RedemptionId) -> Option<&Redemption> {
        self.redemptions.get(&id)
    }

    /// All redemptions by their numbers.
    pub fn redemptions(&self) -> &BTreeMap<RedemptionId, Redemption> {
        &self.redemptions
    }

    /// The usage of a reward: by this customer, or as [`Ledger::set_total_usage`] set it.
    pub fn usage(&self, reward: &RewardId) -> Option<Usage> {
        self.usage.get(reward).copied()
    }

    /// The program of a version, counted from 1 in the order of publication.
    pub fn program(&self, version: ProgramVersion) -> Option<&Program> {
        let index = usize::try_from(version.0).ok()?.checked_sub(1)?;
        self.programs().nth(index)
    }

    /// All programs in the order of publication.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let later = self.later_programs.iter().map(|(_, program)| &**program);
        std::iter::once(&*self.first_program).chain(later)
    }

    /// The shop's time zone.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// How many decimals the shop's currency has.
    pub fn minor_digits(&self) -> u32 {
        self.minor_digits
    }

    /// The customer's tags.
    pub fn tags(&self) -> &BTreeSet<Tag> {
        &self.tags
    }

    /// The customer's attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The customer's birthday.
    pub fn birthday(&self) -> Option<Birthday> {
        self.birthday
    }
}
