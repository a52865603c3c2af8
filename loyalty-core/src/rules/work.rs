//! A decision in progress.

use crate::account::Account;
use crate::amount::Points;
use crate::command::Command;
use crate::context::{Context, Decision};
use crate::event::Event;
use crate::id::AccountId;
use crate::order::OrderState;
use crate::redemption::Redemption;
use crate::rejection::Rejection;

/// A decision in progress. Each event is folded when it is emitted, so that the next rule sees its effect.
///
/// The rules are its methods, one family a file.
pub(crate) struct DecisionBuilder<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) account: Account,
    /// The command's order. An empty one if the command is about no order.
    pub(crate) order: OrderState,
    /// The command's redemption, if the account has it.
    pub(crate) redemption: Option<Redemption>,
    pub(crate) events: Vec<Event>,
    pub(crate) follow_ups: Vec<(AccountId, Command)>,
}

impl<'a> DecisionBuilder<'a> {
    /// Starts the decision of a command.
    ///
    /// # Errors
    /// [`Rejection::OrderMismatch`] if the context's order is not the command's.
    pub(crate) fn for_command(
        context: &'a Context<'a>,
        command: &Command,
    ) -> Result<Self, Rejection> {
        let mut work = Self::new(context);
        work.redemption = context.redemption.cloned();

        if let Some(id) = command.order() {
            work.order = context
                .order
                .map_or_else(|| OrderState::new(id.clone()), OrderState::clone);

            // Deciding on another order's facts would post points under the wrong order.
            if work.order.id() != Some(id) {
                return Err(Rejection::OrderMismatch { order: id.clone() });
            }
        }
        Ok(work)
    }

    /// Starts without a command, to see what becomes due.
    pub(crate) fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            account: context.account.cloned().unwrap_or_default(),
            order: OrderState::without_id(),
            redemption: None,
            events: Vec::new(),
            follow_ups: Vec::new(),
        }
    }

    /// Adds an event and folds it.
    pub(crate) fn emit(&mut self, event: Event) {
        self.account.evolve(&event);
        self.order.evolve(&event);

        if let Some(redemption) = &mut self.redemption
            && event.redemption() == Some(redemption.issue().id)
        {
            redemption.evolve(&event);
        }
        self.events.push(event);
    }

    /// Ends the decision.
    ///
    /// # Errors
    /// [`Rejection::PointsOutOfRange`] if the account's totals cannot hold the result. The balance alone
    /// could: more can have come and gone than is left.
    pub(crate) fn finish(self) -> Result<Decision, Rejection> {
        let decision = Decision { events: self.events, follow_ups: self.follow_ups };

        // The totals clamp at their range. Then they no longer differ by what the events moved.
        let before = self
            .context
            .account
            .map_or(Points::ZERO, |account| account.totals().balance());
        let after = self.account.totals().balance();
        if before.checked_add(decision.points()) == Some(after) {
            Ok(decision)
        } else {
            Err(Rejection::PointsOutOfRange)
        }
    }
}
