//! Redemptions in transactions.
//!
//! A redemption, its price rule and its code have the same number. Each transaction
//! leaves the code consistent with the redemption: enabled while that is issued or used,
//! disabled otherwise.

use std::collections::BTreeSet;

use loyalty_core::discount::{PriceRule, PriceRuleParts};
use loyalty_core::redemption::{Redemption, RedemptionState};
use loyalty_core::{
    AccountId, CodeId, Command, Fraction, OrderId, OrderState, PriceRuleId, RedemptionId, query,
};

use super::{TYPED, Transaction, TransactionError, TransactionView};
use crate::customer_ref::CustomerRef;
use crate::discount::lookup::{self, DiscountView};
use crate::error::{Failure, Rejection};
use crate::redemption::{self, RedemptionAction, RedemptionView};
use crate::request::{Existence, Receipt};

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_redemption(
        &mut self,
        action: RedemptionAction,
    ) -> Result<Receipt, TransactionError> {
        match action {
            RedemptionAction::Issue { customer, reward, amount, subtotal, entropy } => self
                .issue_redemption(&customer, |redemption| Command::RedeemReward {
                    redemption,
                    reward,
                    amount,
                    subtotal,
                    entropy,
                }),
            RedemptionAction::Cancel { id } => {
                self.run_redemption_command(id, &Command::CancelRedemption { redemption: id })
            }
            RedemptionAction::Use { id, order } => {
                self.run_redemption_command(id, &Command::UseRedemption { redemption: id, order })
            }
            RedemptionAction::RecordPublication { id, store, status } => {
                let record = Command::RecordPublication { redemption: id, store, status };
                self.run_redemption_command(id, &record)
            }
        }
    }

    fn issue_redemption(
        &mut self,
        customer: &CustomerRef,
        command: impl FnOnce(RedemptionId) -> Command,
    ) -> Result<Receipt, TransactionError> {
        let found = self.resolve_customer(customer, Existence::Required, TYPED)?;

        let id = RedemptionId(self.next_seq());
        self.run_command(Some(found.account), &command(id))?;
        let issued = self.load_redemption(id)?;
        self.create_redemption_code(found.account, &issued.redemption)?;

        Ok(Receipt {
            redemption: Some(Box::new(issued)),
            ..self.build_receipt(Some(&found), None)?
        })
    }

    /// Creates the price rule and the code of a redemption, if it has a code.
    pub(super) fn create_redemption_code(
        &mut self,
        account: AccountId,
        redemption: &Redemption,
    ) -> Result<(), TransactionError> {
        let issue = redemption.issue();
        let Some(code) = &issue.code else { return Ok(()) };
        let missing = || Failure::Corrupt(format!("redemption {} has no reward", issue.id));
        let (_, program) = self.load_program(Some(issue.program))?;
        let reward = program.reward(&issue.reward).ok_or_else(missing)?;

        // The code is for this customer only.
        let customer = self.load_customer(account)?;
        let customer = customer
            .as_ref()
            .map(|customer| (customer.id.as_ref(), customer.email.as_ref()));
        let rule = issue.price_rule(reward, customer.unwrap_or_default(), self.shop.minor_digits());
        // The rules issue only rewards with a valid price rule: faults are a bug.
        let Some(rule) = rule.map_err(|faults| Failure::Corrupt(format!("{faults:?}")))? else {
            return Ok(());
        };

        let RedemptionId(number) = issue.id;
        let rule = self.put_rule(PriceRuleId(number), None, &rule)?;
        self.put_code(CodeId(number), rule, code)?;
        Ok(())
    }

    fn run_redemption_command(
        &mut self,
        id: RedemptionId,
        command: &Command,
    ) -> Result<Receipt, TransactionError> {
        let view = redemption::find_redemption(self, self.shop.id, id)?
            .ok_or(Rejection::RedemptionNotFound)?;
        let account = self.resolve_merged(view.account)?;

        self.run_command(Some(account), command)?;
        self.update_redemption_code(id)?;

        let found = super::ResolvedCustomer { account, created: false, registered: false };
        let redemption = Some(Box::new(self.load_redemption(id)?));
        Ok(Receipt { redemption, ..self.build_receipt(Some(&found), None)? })
    }

    pub(super) fn load_redemption(&mut self, id: RedemptionId) -> Result<RedemptionView, Failure> {
        let missing = || Failure::Corrupt(format!("redemption {id} is missing"));
        redemption::find_redemption(self, self.shop.id, id)?.ok_or_else(missing)
    }

    /// Returns a redemption if it belongs to this account, merged accounts included.
    pub(super) fn load_own_redemption(
        &mut self,
        account: Option<AccountId>,
        id: RedemptionId,
    ) -> Result<Option<Redemption>, Failure> {
        let Some(view) = redemption::find_redemption(self, self.shop.id, id)? else {
            return Ok(None);
        };
        let owner = self.resolve_merged(view.account)?;
        Ok((account == Some(owner)).then_some(view.redemption))
    }

    /// Makes the code consistent with its redemption. A code or rule that the shop
    /// deleted stays deleted.
    pub(super) fn update_redemption_code(
        &mut self,
        id: RedemptionId,
    ) -> Result<(), TransactionError> {
        let RedemptionId(number) = id;
        let shop = self.shop.id;
        let redemption = self.load_redemption(id)?.redemption;
        let Some(code) = lookup::find_code(self, shop, CodeId(number))? else {
            return Ok(());
        };

        let enabled = match redemption.state() {
            RedemptionState::Issued | RedemptionState::Used { .. } => true,
            RedemptionState::Cancelled { .. } => false,
            // Its price rule has ended too, so that the code cannot be used anyway.
            RedemptionState::Expired { .. } => code.enabled,
        };
        if code.enabled != enabled {
            self.switch_code(code.id, enabled)?;
        }

        // A redemption that was reopened can end later than before.
        let rule = self.load_rule(code.rule)?;
        let end_changed = *redemption.state() == RedemptionState::Issued
            && redemption.ends_at() != rule.rule.parts().ends_at;
        if end_changed {
            let parts =
                PriceRuleParts { ends_at: redemption.ends_at(), ..rule.rule.parts().clone() };
            // A rule that the shop changed may not be valid with this end: it stays
            // unchanged.
            if let Ok(changed) = PriceRule::new(parts, rule.rule.minor_digits()) {
                self.save_rule(Some(rule.id), &changed)?;
            }
        }

        Ok(())
    }

    /// Marks the redemptions whose codes an order lists as used, and reopens those it no
    /// longer lists. If it is cancelled, so are those that the shop marked as used with it.
    /// The order is a fact: it counts even if a code could not be used at that time.
    ///
    /// What came back of its goods returns points of the redemptions that it used.
    pub(super) fn update_order_redemptions(
        &mut self,
        order: &OrderId,
        before: &OrderState,
    ) -> Result<(), TransactionError> {
        let after = self.load_order(order)?;
        let state = &after.state;
        let listed_before = self.find_order_redemptions(before)?;
        let listed = self.find_order_redemptions(state)?;
        let returned = query::returned_share(state).ok();
        let returned = returned.filter(|share| *share != Fraction::ZERO);

        // A cancelled order claims nothing, whatever it lists.
        let cancelled = state.is_cancelled();
        let all: BTreeSet<_> = [&listed_before, &listed, state.redemptions()]
            .into_iter()
            .flatten()
            .copied()
            .collect();

        for id in all {
            let Some(view) = redemption::find_redemption(self, self.shop.id, id)? else {
                continue;
            };
            let account = self.resolve_merged(view.account)?;
            let (redemption, order) = (id, order.clone());
            if listed.contains(&id) && !cancelled {
                let order = order.clone();
                self.run_command(Some(account), &Command::ClaimRedemption { redemption, order })?;
            } else if cancelled || listed_before.contains(&id) {
                let order = order.clone();
                self.run_command(Some(account), &Command::ReleaseRedemption { redemption, order })?;
            }
            if let Some(returned) = returned.clone() {
                let command = Command::RefundRedemption { redemption, order, returned };
                self.run_command(Some(account), &command)?;
            }
            self.update_redemption_code(id)?;
        }

        Ok(())
    }

    /// Returns the redemptions whose codes the latest snapshot of an order lists.
    fn find_order_redemptions(
        &mut self,
        order: &OrderState,
    ) -> Result<BTreeSet<RedemptionId>, Failure> {
        let shop = self.shop.id;
        let mut found = BTreeSet::new();
        for text in order.snapshot().iter().flat_map(|recorded| &recorded.order.codes) {
            found.extend(
                self.code_by_key(shop, text.key())?
                    .map(|CodeId(number)| RedemptionId(number)),
            );
        }
        Ok(found)
    }
}
