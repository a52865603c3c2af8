//! The rules of a loyalty program, pure: no I/O, no clock, no randomness.
//!
//! A [`Ledger`] is one customer's points, orders and redemptions at one shop. A shop
//! reports facts to it: orders, refunds, points added or subtracted. Each is decided into
//! [`Event`]s or one [`Rejection`], and the ledger's state is a fold of the events (event
//! sourcing). Time is an argument, money is exact, and every award explains itself.
//!
//! # Example: an order, its points and the reason
//! ```
//! use loyalty_core::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ledger = Ledger::new(Program::default());
//! let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
//! let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
//! let decision = ledger.record_order(&id, order, Status::Paid, now)?;
//! assert_eq!(
//!     decision.calculation().unwrap().to_string(),
//!     "The order earns 49 points: 49.95 by base (1 per unit of 49.95), 49.95 rounded down."
//! );
//! assert_eq!(ledger.balance(now), Points::from(49));
//! # Ok(()) }
//! ```
//!
//! The [`guide`] goes through it in short pages. A store that loads and saves the parts
//! one by one, as `loyalty-store` does, calls [`decide`] with a [`Context`] and folds the
//! events itself.
//!
//! # Where to look
//! The modules read down: each uses only those before it.
//! - The ground: [`amount`], [`id`], [`calendar`], [`code`], [`fault`], [`figures`], [`counts`],
//!   [`lot`], [`limit`], [`tier`], [`attribute`], [`customer`], [`award`], [`referral`].
//! - What a shop reports and a merchant configures: [`order`], [`discount`], [`program`].
//! - State and events: [`explain`], [`redemption`], [`statement`], [`account`], [`event`], and the fold
//!   of the one by the other.
//! - Requests and results: [`rejection`], [`command`], [`context`].
//! - The rules, one family a file; then [`decide`], which dispatches to them, and
//!   [`query`], which reads.

pub mod account;
pub mod amount;
pub mod attribute;
pub mod award;
pub mod calendar;
pub mod code;
pub mod command;
pub mod context;
pub mod counts;
pub mod customer;
mod decide;
pub mod discount;
pub mod event;
mod exact;
pub mod explain;
#[cfg(feature = "json")]
mod fast_fmt;
pub mod fault;
pub mod figures;
mod fold;
pub mod guide;
pub mod id;
mod ledger;
pub mod limit;
pub mod lot;
pub mod order;
pub mod program;
#[cfg(feature = "proptest")]
pub mod proptest;
pub mod publication;
pub mod query;
pub mod redemption;
pub mod referral;
pub mod rejection;
mod rules;
pub mod statement;
pub mod text;
pub mod tier;
mod tree;

pub use account::Account;
pub use amount::{Amount, Currency, Money, Points, Rate, Rounding};
pub use attribute::{AttributeNumber, AttributeValue, Attributes};
pub use award::{Award, AwardReason};
pub use calendar::{Boundary, Period, Timestamp, Zone};
pub use code::{Code, CodeError};
pub use command::{Command, OverRefund};
pub use context::{Context, Decision, ProgramPeriod};
pub use counts::{Counts, CountsDelta};
pub use customer::{Birthday, Email, Profile};
pub use decide::decide;
pub use event::{AdjustmentReason, Event};
pub use exact::{Fraction, Overflow};
pub use explain::{Calculation, Explanation};
pub use fault::Fault;
pub use id::{
    AccountId, ActionId, AttributeName, CategoryId, ChannelId, CheckoutId, CodeId, CountryId,
    CustomerId, ImportId, LineId, LotId, OrderId, PriceRuleId, ProductId, ProgramVersion,
    RedemptionId, RefundId, RewardId, RuleId, SegmentId, ShopId, Tag, TierId, VariantId,
};
pub use ledger::{Ledger, ReplayError};
pub use limit::Limit;
pub use lot::{ImportMode, ImportedEnd, ImportedLot, Lot, LotCredit};
pub use order::{
    Line, Order, OrderState, Origin, Pin, Quantity, Refund, RefundAmount, RefundContent,
    RefundCurrency, Status,
};
pub use program::{Program, ProgramError};
pub use publication::{Publication, PublicationStatus, StoreId};
pub use query::{RewardOffer, as_of, due, next_due, reward_offers, tier_status};
pub use redemption::Redemption;
pub use referral::{ReferralParty, ReferralRejection};
pub use rejection::Rejection;
pub use rules::entitle::entitlement;
pub use rules::merge::merge;
pub use statement::{Statement, Statements};
pub use tier::{EarnedTier, ManualTier, TierChange, TierReason, TierStatus};

/// The README's Rust, tried as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
