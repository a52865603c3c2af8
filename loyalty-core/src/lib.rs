//! The rules of a loyalty program, pure: no I/O, no clock, no randomness.
//!
//! A shop tells facts ([`Order`], [`Refund`], points added or subtracted); [`decide`] answers with
//! [`Event`]s or one [`Rejection`]; folding the events gives the [`Account`] and the [`OrderState`].
//! Time is an argument, money is exact, and every award explains itself.
//!
//! # Example: an order, its points and the reason
//! ```
//! use loyalty_core::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (program, mut account, mut state) = (Program::default(), Account::default(), OrderState::default());
//! let line = BasketLine {
//!     id: LineId::new("1")?, product: None, categories: vec![],
//!     quantity: Quantity::from(1), amount: "49.95".parse()?, gift_card: false,
//! };
//! let order = Order { lines: vec![line], total: "49.95".parse()?, ..Order::default() };
//! let command = Command::RecordOrder {
//!     order: OrderId::new("1001")?, snapshot: order.into(), status: Status::ActionTotals,
//!     at: None, origin: Origin::Shop,
//! };
//! let now = "2026-01-31T10:00:00Z".parse()?;
//! let decision = decide(&Context::new(&program, &account, now).with_order(&state), &command)?;
//! for event in &decision.events {
//!     account.evolve(event);
//!     state.evolve(event);
//!     if let Event::PointsAwarded { reckoning, .. } = event {
//!         assert_eq!(
//!             reckoning.to_string(),
//!             "The order earns 49 points: 49.95 by base (1 per unit of 49.95), 49.95 rounded down."
//!         );
//!     }
//! }
//! assert_eq!(account.balance(now), Points::from(49));
//! # Ok(()) }
//! ```
//!
//! The modules, in reading order: what things are ([`amount`], [`id`], [`calendar`]); what a shop tells
//! ([`customer`], [`order`]); what a merchant configures ([`program`], and [`discount`] for codes and
//! carts); what can be asked and what comes of it ([`command`], [`event`], [`rejection`], [`explain`]); the state ([`account`]); the rules.

pub mod account;
pub mod amount;
pub mod award;
pub mod calendar;
pub mod command;
pub mod customer;
mod decide;
pub mod discount;
pub mod event;
mod exact;
pub mod explain;
#[cfg(feature = "json")]
mod fast_fmt;
mod fault;
pub mod id;
mod ledger;
pub mod order;
pub mod program;
#[cfg(feature = "proptest")]
pub mod proptest;
pub mod redemption;
pub mod referral;
pub mod rejection;
mod rules;
pub mod tier;
mod tree;

pub use account::{Account, Counts, Lot};
pub use amount::{Amount, Currency, Money, Points, Rate, Rounding};
pub use award::{Award, AwardReason, Limit};
pub use calendar::{Boundary, Period, Timestamp, Zone};
pub use command::{Command, OverRefund};
pub use customer::{Birthday, Email, Profile};
pub use decide::{Context, Decision, Former, decide};
pub use event::{AdjustmentReason, Event, ManualTier};
pub use exact::{Fraction, Overflow};
pub use explain::{Calculation, Explanation};
pub use fault::Fault;
pub use id::{
    AccountId, ActionId, CategoryId, CheckoutId, CodeId, CountryId, CustomerId, LineId, LotId,
    OrderId, PriceRuleId, ProductId, ProgramVersion, RedemptionId, RefundId, RewardId, RuleId,
    SegmentId, ShopId, Tag, TierId, VariantId,
};
pub use ledger::{Ledger, ReplayError};
pub use order::{Line, Order, OrderState, Origin, Pin, Quantity, Refund, RefundContent, Status};
pub use program::{Program, ProgramError};
pub use referral::{ReferralParty, ReferralRejection};
pub use rejection::Rejection;
pub use rules::entitle::entitlement;
pub use rules::merge::merge;
pub use rules::redeem::reward_offers;
pub use rules::scheduled::{as_of, due, next_due};
pub use rules::tier::tier_status;
pub use tier::{EarnedTier, TierChange, TierReason, TierStatus};

/// The README's Rust, tried as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
