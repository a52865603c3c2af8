//! The dispatch from commands to rules. Each arm calls the rule of its family in `rules`.

use crate::command::Command;
use crate::context::{Context, Decision};
use crate::rejection::Rejection;
use crate::rules::work::DecisionBuilder;

/// Decides a command: a pure function of the context and the command.
///
/// The events begin with what became due by `context.now`. Fold them, in order, with
/// [`Account::evolve`](crate::Account::evolve) and
/// [`OrderState::evolve`](crate::OrderState::evolve).
///
/// # Example: an order earns, a refund takes back
/// ```
/// use loyalty_core::{
///     Account, Command, Context, Line, LineId, Order, OrderId, OrderState, Origin, OverRefund, Points,
///     Program, Refund, RefundId, Status, decide,
/// };
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (program, now) = (Program::default(), "2026-01-31T10:00:00Z".parse()?);
/// let id = OrderId::new("1001")?;
/// let line = Line {
///     id: LineId::new("1")?, product: None, categories: vec![],
///     quantity: 1.into(), amount: "49.95".parse()?, gift_card: false,
///     attributes: Default::default(),
/// };
/// let order = Order { lines: vec![line], total: "49.95".parse()?, ..Order::default() };
/// let paid = Command::RecordOrder {
///     order: id.clone(), snapshot: order.into(), status: Status::Paid, at: None, origin: Origin::Shop,
/// };
/// let refund = Refund::of_amount(RefundId::new("R1")?, "20.00".parse()?);
/// let refunded = Command::RefundOrder {
///     order: id.clone(), refund, over_refund: OverRefund::Reject, at: None,
/// };
///
/// let (mut account, mut state) = (Account::default(), OrderState::new(id));
/// for (command, balance) in [(&paid, 49_u32), (&paid, 49), (&refunded, 29)] {
///     let context = Context::new(&program, &account, now).with_order(&state);
///     for event in decide(&context, command)?.events {
///         account.evolve(&event);
///         state.evolve(&event);
///     }
///     assert_eq!(account.balance(now), Points::from(balance));
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
/// A [`Rejection`] if the rules do not allow the command. Then nothing changes.
pub fn decide(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    let mut work = DecisionBuilder::for_command(context, command)?;
    if work.account.erased_at().is_some() {
        work.decide_for_erased(command)?;
        return work.finish();
    }

    work.catch_up();
    match command {
        Command::AddPoints { points, reason } => work.add_points(*points, reason)?,
        Command::CancelOrder { order, at } => work.cancel_order(order, *at)?,
        Command::CancelRedemption { .. } => work.cancel_redemption()?,
        Command::CatchUp => {}
        Command::ClaimRedemption { order, .. } => work.claim_redemption(order),
        Command::CloseOrder { order, at } => work.close_order(order, *at),
        Command::EnterCode { code, used_by_other } => work.enter_code(code, *used_by_other)?,
        Command::EraseAccount => work.erase_account(),
        Command::ImportPoints { import, lots, mode } => work.import_points(import, lots, *mode)?,
        Command::IssueGift { redemption, entropy } => work.issue_gift(*redemption, *entropy)?,
        Command::IssueReferralCode { entropy } => work.issue_referral_code(*entropy)?,
        Command::JoinReferral { referee, referrer } => work.join_referral(referee, referrer)?,
        Command::NoteGuest { order, guest } => work.note_guest(order, *guest),
        Command::PerformAction { action, points } => work.perform_action(action, *points)?,
        Command::RecordPublication { store, status, .. } => {
            work.record_publication(store, status)?;
        }
        Command::RecordOrder { order, snapshot, status, at, origin } => {
            work.record_order(order, snapshot, *status, *at, *origin)?;
        }
        Command::RedeemReward { redemption, reward, amount, subtotal, entropy } => {
            work.redeem(*redemption, reward, *amount, *subtotal, *entropy)?;
        }
        Command::RefundRedemption { order, returned, .. } => {
            work.refund_redemption(order, returned)?;
        }
        Command::ReleaseRedemption { order, .. } => work.release_redemption(order)?,
        Command::RefundOrder { order, refund, over_refund, at } => {
            work.refund_order(order, refund, *over_refund, *at)?;
        }
        Command::ReopenAccount { from, undone } => work.reopen_account(*from, undone),
        Command::RewardReferral { referee, order, gate_at } => {
            work.reward_referral(*referee, order, *gate_at);
        }
        Command::SetBalance { to, reason } => work.set_balance(*to, reason.clone())?,
        Command::SetTier(tier) => work.set_tier(tier.as_ref())?,
        Command::SignUp => work.sign_up()?,
        Command::SubtractPoints { points, reason } => work.subtract_points(*points, reason)?,
        Command::UndoClaim { claim } => work.undo_claim(claim)?,
        Command::UndoImport { import, brought, taken_away } => {
            work.undo_import(import, *brought, taken_away)?;
        }
        Command::UndoReferral { referee, order } => work.undo_referral(*referee, order)?,
        Command::UseRedemption { order, .. } => work.use_redemption(order.as_ref())?,
        Command::VoidRedemption { .. } => work.void_redemption()?,
    }

    // The command may have made more due at this instant: a tier entered, a goal reached.
    work.catch_up();
    work.finish()
}
