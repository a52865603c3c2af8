//! The commands that a shop sends most. Each decides and applies, or changes nothing.

use std::sync::Arc;

use super::Ledger;
use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::context::Decision;
use crate::event::AdjustmentReason;
use crate::id::{ActionId, OrderId, RedemptionId, RewardId};
use crate::order::{Order, OrderState, Origin, Refund, Status};
use crate::query;
use crate::redemption::{Redemption, RedemptionState};
use crate::rejection::Rejection;

impl Ledger {
    /// Records an order as the shop now sees it: its content and how far it has come.
    ///
    /// The difference between what it is worth now and what it has posted is awarded or taken
    /// back. So a repeated report moves nothing. A redemption whose code the order has is used by
    /// it, and given back once the order no longer has the code.
    ///
    /// # Errors
    /// [`Rejection::InvalidOrder`] if the order contradicts itself; [`Rejection::OutOfRange`] and
    /// [`Rejection::PointsOutOfRange`] if its points cannot be counted.
    ///
    /// # Example: a repeated report moves nothing
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// let first = ledger.record_order(&id, order.clone(), Status::Paid, now)?;
    /// let again = ledger.record_order(&id, order, Status::Paid, now)?;
    /// assert_eq!((first.points(), again.points()), (Points::from(49), Points::ZERO));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_order(
        &mut self,
        id: &OrderId,
        order: Order,
        status: Status,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.record_snapshot(id, order, status, None, now)
    }

    /// Records an order as [`Ledger::record_order`] does, with the shop's own time of the report.
    ///
    /// Reports with their own time may arrive in any order: the latest by `reported_at` counts.
    ///
    /// # Errors
    /// Those of [`Ledger::record_order`].
    ///
    /// # Example: a late report does not overwrite a newer one
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let (monday, friday) = ("2026-01-26T10:00:00Z".parse()?, "2026-01-30T10:00:00Z".parse()?);
    /// # fn order(amount: &str) -> Result<Order, Box<dyn std::error::Error>> {
    /// #     Ok(Order::new([Line::new("1".parse()?, amount.parse()?)])?)
    /// # }
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.record_order_at(&id, order("20")?, Status::Paid, friday, now)?;
    /// ledger.record_order_at(&id, order("30")?, Status::Paid, monday, now)?;
    /// assert_eq!(ledger.balance(now), Points::from(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_order_at(
        &mut self,
        id: &OrderId,
        order: Order,
        status: Status,
        reported_at: Timestamp,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.record_snapshot(id, order, status, Some(reported_at), now)
    }

    fn record_snapshot(
        &mut self,
        id: &OrderId,
        order: Order,
        status: Status,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let (order, snapshot) = (id.clone(), Arc::new(order));
        let origin = Origin::Shop;
        let command = Command::RecordOrder { order, snapshot, status, at, origin };
        self.execute_with_redemptions(id, &command, now)
    }

    /// Cancels an order: its points are taken back, and a redemption that it used is given back as
    /// the reward's terms say, as a code or as points. A later report of the order reopens it.
    ///
    /// # Errors
    /// [`Rejection::PointsOutOfRange`] if the points cannot be counted.
    ///
    /// # Example: a cancelled order earns nothing
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    /// let decision = ledger.cancel_order(&id, now)?;
    /// assert_eq!(decision.points(), Points::from(49).negated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_order(&mut self, id: &OrderId, now: Timestamp) -> Result<Decision, Rejection> {
        let command = Command::CancelOrder { order: id.clone(), at: None };
        self.execute_with_redemptions(id, &command, now)
    }

    /// Cancels an order as [`Ledger::cancel_order`] does, with the shop's own time of it.
    ///
    /// # Errors
    /// Those of [`Ledger::cancel_order`].
    pub fn cancel_order_at(
        &mut self,
        id: &OrderId,
        cancelled_at: Timestamp,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let command = Command::CancelOrder { order: id.clone(), at: Some(cancelled_at) };
        self.execute_with_redemptions(id, &command, now)
    }

    /// Records a refund of an order and takes back its share of the points. Where the program
    /// says so (`order_refunded`), points that the order was paid with come back.
    ///
    /// A repeated refund of one id moves nothing. A refund that comes before its order is kept, and
    /// counts as soon as the order is recorded.
    ///
    /// # Errors
    /// [`Rejection::RefundDiffers`] if the id is known with other content;
    /// [`Rejection::RefundExceedsOrder`], [`Rejection::RefundExceedsLine`] and
    /// [`Rejection::UnknownLine`] if it does not fit the order.
    ///
    /// # Example: a refund takes back its share
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    ///
    /// let refund = Refund::of_amount("R1".parse()?, "20.00".parse()?);
    /// let decision = ledger.refund(&id, refund, now)?;
    /// assert_eq!(decision.points(), Points::from(20).negated());
    /// assert_eq!(ledger.balance(now), Points::from(29));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refund(
        &mut self,
        order: &OrderId,
        refund: Refund,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let over_refund = OverRefund::Reject;
        let command = Command::RefundOrder { order: order.clone(), refund, over_refund, at: None };
        self.execute_with_redemptions(order, &command, now)
    }

    /// Exchanges points for a reward, and returns the redemption with its code.
    ///
    /// The code is made of `entropy`: 16 bytes of a cryptographic random source. The redemption
    /// gets the next number of this ledger.
    ///
    /// # Errors
    /// [`Rejection::UnknownReward`]; the first of the reasons that [`Ledger::offers`] lists;
    /// [`Rejection::InvalidAmount`] for a reward whose amount the customer chooses.
    ///
    /// # Example: points become a code
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"rewards": [
    ///     {"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}}
    /// ]}"#)?;
    /// let mut ledger = Ledger::new(program);
    /// ledger.add(Points::from(600), "welcome", now)?;
    ///
    /// let entropy = [7; 16]; // in earnest: random
    /// let redemption = ledger.redeem(&"five".parse()?, entropy, now)?;
    /// assert!(redemption.issue().code.is_some());
    /// assert_eq!(ledger.balance(now), Points::from(100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redeem(
        &mut self,
        reward: &RewardId,
        entropy: [u8; 16],
        now: Timestamp,
    ) -> Result<Redemption, Rejection> {
        self.issue_redemption(reward, None, entropy, now)
    }

    /// Exchanges points for a reward of which the customer chooses the amount, in the shop's
    /// currency. Otherwise as [`Ledger::redeem`].
    ///
    /// # Errors
    /// Those of [`Ledger::redeem`].
    ///
    /// # Example: the customer chooses seven
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"rewards": [
    ///     {"id": "off", "name": "Money off", "gives": {"variable_amount": {"points_per_unit": 100}}}
    /// ]}"#)?;
    /// let mut ledger = Ledger::new(program);
    /// ledger.add(Points::from(1_000), "welcome", now)?;
    /// let redemption = ledger.redeem_amount(&"off".parse()?, "7".parse()?, [7; 16], now)?;
    /// assert_eq!(redemption.issue().points, Points::from(700));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redeem_amount(
        &mut self,
        reward: &RewardId,
        amount: Amount,
        entropy: [u8; 16],
        now: Timestamp,
    ) -> Result<Redemption, Rejection> {
        self.issue_redemption(reward, Some(amount), entropy, now)
    }

    /// Issues the redemption of the next gift that waits for one, and returns it. `None` if none
    /// waits.
    ///
    /// A tier, a birthday, a goal, an action or a referral can give a reward of the program.
    /// Its redemption needs a code, so call this after other commands until there is none.
    ///
    /// # Errors
    /// None in practice: a gift that can be given can be issued.
    ///
    /// # Example: a mug for signing up
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{
    ///     "actions": [{"id": "join", "kind": "sign_up", "gift": {"reward": "mug"}}],
    ///     "rewards": [{"id": "mug", "name": "A mug", "cost": 300, "gives": "custom"}]
    /// }"#)?;
    /// let mut ledger = Ledger::new(program);
    /// ledger.sign_up(now)?;
    ///
    /// let mut given = Vec::new();
    /// while let Some(redemption) = ledger.issue_gift([7; 16], now)? { // in earnest: random
    ///     given.push(redemption.issue().to_string());
    /// }
    /// assert_eq!(given, ["A mug for signing up: a reward handled by the shop."]);
    /// assert_eq!(ledger.balance(now), Points::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn issue_gift(
        &mut self,
        entropy: [u8; 16],
        now: Timestamp,
    ) -> Result<Option<Redemption>, Rejection> {
        let account = self.as_of(now);
        if account.activity().gifts().first_due(now).is_none() {
            return Ok(None);
        }
        let redemption = self.next_redemption();
        self.execute(&Command::IssueGift { redemption, entropy }, now)?;
        Ok(self.redemptions.get(&redemption).cloned())
    }

    fn next_redemption(&self) -> RedemptionId {
        let last = self.redemptions.last_key_value().map_or(0, |(id, _)| id.0);
        RedemptionId(last.saturating_add(1))
    }

    fn issue_redemption(
        &mut self,
        reward: &RewardId,
        amount: Option<Amount>,
        entropy: [u8; 16],
        now: Timestamp,
    ) -> Result<Redemption, Rejection> {
        let redemption = self.next_redemption();
        let (reward, subtotal) = (reward.clone(), None);
        let command = Command::RedeemReward { redemption, reward, amount, subtotal, entropy };
        self.execute(&command, now)?;

        self.redemptions
            .get(&redemption)
            .cloned()
            .ok_or(Rejection::UnknownRedemption)
    }

    /// Uses a redemption: the shop has handed over what it is for, with this order if it was one.
    ///
    /// An order whose [`codes`](Order::codes) have the redemption's code does this by itself.
    ///
    /// # Errors
    /// [`Rejection::UnknownRedemption`]; [`Rejection::RedemptionNotOpen`] if it was used, cancelled
    /// or has expired.
    ///
    /// # Example: a redemption is used once
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// # let program = Program::from_json(r#"{"rewards": [
    /// #     {"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}}
    /// # ]}"#)?;
    /// # let mut ledger = Ledger::new(program);
    /// # ledger.add(Points::from(600), "welcome", now)?;
    /// let id = ledger.redeem(&"five".parse()?, [7; 16], now)?.issue().id;
    /// ledger.use_redemption(id, Some(&"1001".parse()?), now)?;
    /// let rejection = ledger.use_redemption(id, Some(&"1002".parse()?), now).unwrap_err();
    /// assert_eq!(rejection.code(), "redemption_not_open");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_redemption(
        &mut self,
        redemption: RedemptionId,
        order: Option<&OrderId>,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.execute(&Command::UseRedemption { redemption, order: order.cloned() }, now)
    }

    /// Cancels a redemption that was not used, and gives its points back.
    ///
    /// # Errors
    /// [`Rejection::UnknownRedemption`]; [`Rejection::RedemptionNotOpen`] if it was used or has
    /// expired.
    ///
    /// # Example: the points come back
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// # let program = Program::from_json(r#"{"rewards": [
    /// #     {"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}}
    /// # ]}"#)?;
    /// # let mut ledger = Ledger::new(program);
    /// # ledger.add(Points::from(600), "welcome", now)?;
    /// let id = ledger.redeem(&"five".parse()?, [7; 16], now)?.issue().id;
    /// assert_eq!(ledger.cancel_redemption(id, now)?.points(), Points::from(500));
    /// assert_eq!(ledger.balance(now), Points::from(600));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_redemption(
        &mut self,
        redemption: RedemptionId,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.execute(&Command::CancelRedemption { redemption }, now)
    }

    /// Adds points by hand, for the shop's reason in words.
    ///
    /// # Errors
    /// [`Rejection::InvalidPoints`] unless there is at least one;
    /// [`Rejection::PointsOutOfRange`] if the balance cannot be counted.
    ///
    /// # Example: a welcome gift
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// assert_eq!(ledger.balance(now), Points::from(250));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(
        &mut self,
        points: Points,
        reason: &str,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.execute(&Command::AddPoints { points, reason: reason_of(reason) }, now)
    }

    /// Subtracts points by hand, those that end first first, for the shop's reason in words.
    ///
    /// # Errors
    /// [`Rejection::InvalidPoints`] unless there is at least one;
    /// [`Rejection::InsufficientPoints`] if there are fewer: a shop cannot make debt.
    ///
    /// # Example: no more than there is
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// ledger.subtract(Points::from(200), "correction", now)?;
    /// let rejection = ledger.subtract(Points::from(51), "correction", now).unwrap_err();
    /// assert_eq!(rejection.to_string(), "51 points are needed, but only 50 are available");
    /// assert_eq!(ledger.balance(now), Points::from(50));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subtract(
        &mut self,
        points: Points,
        reason: &str,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        self.execute(&Command::SubtractPoints { points, reason: reason_of(reason) }, now)
    }

    /// Rewards something that the customer did, by an action of the program: a review, a share.
    ///
    /// # Errors
    /// [`Rejection::UnknownAction`]; [`Rejection::ActionNotOpen`] if it is not for this customer
    /// now; [`Rejection::LimitReached`] if the customer has had all that it pays.
    ///
    /// # Example: one review a day
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"actions": [
    ///     {"id": "review", "kind": "review", "points": 20, "limits": [{"times": 1, "per": "day"}]}
    /// ]}"#)?;
    /// let mut ledger = Ledger::new(program);
    /// let decision = ledger.perform_action(&"review".parse()?, now)?;
    /// assert_eq!(decision.points(), Points::from(20));
    /// let rejection = ledger.perform_action(&"review".parse()?, now).unwrap_err();
    /// assert_eq!(rejection.code(), "limit_reached");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn perform_action(
        &mut self,
        action: &ActionId,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let (action, points) = (action.clone(), None);
        self.execute(&Command::PerformAction { action, points }, now)
    }

    /// Grants what the program gives for signing up. A second sign-up moves nothing.
    ///
    /// # Errors
    /// [`Rejection::PointsOutOfRange`] if the balance cannot be counted.
    ///
    /// # Example: a bonus for signing up
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(
    ///     r#"{"actions": [{"id": "join", "kind": "sign_up", "points": 100}]}"#
    /// )?;
    /// let mut ledger = Ledger::new(program);
    /// ledger.sign_up(now)?;
    /// ledger.sign_up(now)?;
    /// assert_eq!(ledger.balance(now), Points::from(100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign_up(&mut self, now: Timestamp) -> Result<Decision, Rejection> {
        self.execute(&Command::SignUp, now)
    }

    /// Writes down what was due by `now`: expiries, releases, birthdays, tiers.
    ///
    /// No read and no command needs it. It makes the events of what happens by itself, for a
    /// report or a mail.
    ///
    /// # Errors
    /// None in practice: what is due is never rejected.
    ///
    /// # Example: an expiry becomes an event
    /// ```
    /// use loyalty_core::*;
    /// let yearly = r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#;
    /// let mut ledger = Ledger::new(Program::from_json(yearly)?);
    /// ledger.add(Points::from(250), "welcome", "2026-01-31T10:00:00Z".parse()?)?;
    /// let decision = ledger.catch_up("2028-01-01T00:00:00Z".parse()?)?;
    /// assert!(matches!(decision.events[..], [Event::PointsExpired { .. }]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn catch_up(&mut self, now: Timestamp) -> Result<Decision, Rejection> {
        self.execute(&Command::CatchUp, now)
    }

    /// Executes a command about an order, then uses and gives back the redemptions whose codes the
    /// order has now or had before.
    fn execute_with_redemptions(
        &mut self,
        id: &OrderId,
        command: &Command,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if self.redemptions.is_empty() {
            return self.execute(command, now);
        }

        // The commands apply together or not at all, so they run on a copy.
        let mut next = self.clone();
        let mut decision = next.execute(command, now)?;
        for command in next.redemption_commands(id, self.orders.get(id)) {
            let more = next.execute(&command, now)?;
            decision.events.extend(more.events);
            decision.follow_ups.extend(more.follow_ups);
        }

        *self = next;
        Ok(decision)
    }

    /// Commands that bring redemptions in step with the codes of an order, given what was known of
    /// the order before.
    fn redemption_commands(&self, id: &OrderId, before: Option<&OrderState>) -> Vec<Command> {
        let state = self.orders.get(id);
        let cancelled = state.is_some_and(OrderState::is_cancelled);
        let has_code = |state: Option<&OrderState>, redemption: &Redemption| {
            let code = redemption.issue().code.as_ref();
            let snapshot = state.and_then(OrderState::snapshot);
            snapshot.is_some_and(|recorded| {
                recorded
                    .order
                    .codes
                    .iter()
                    .any(|typed| Some(typed.key()) == code.map(super::super::code::Code::key))
            })
        };

        let returned = state.map(query::returned_share);
        let returned = returned.and_then(Result::ok).filter(|share| !share.is_zero());

        let mut commands = Vec::new();
        for (number, redemption) in &self.redemptions {
            let used = matches!(
                redemption.state(), RedemptionState::Used { order: Some(by), .. } if by == id
            );
            let (redemption_id, order) = (*number, id.clone());
            if has_code(state, redemption) && !cancelled {
                commands.push(Command::ClaimRedemption { redemption: redemption_id, order });
            } else if used && (cancelled || has_code(before, redemption)) {
                commands.push(Command::ReleaseRedemption { redemption: redemption_id, order });
                continue;
            } else if !used {
                continue;
            }
            if let Some(returned) = returned.clone() {
                let (redemption, order) = (redemption_id, id.clone());
                commands.push(Command::RefundRedemption { redemption, order, returned });
            }
        }
        commands
    }
}

/// A reason in the shop's words; none where there are none.
fn reason_of(text: &str) -> AdjustmentReason {
    AdjustmentReason {
        text: (!text.is_empty()).then(|| text.into()),
        ..AdjustmentReason::default()
    }
}
