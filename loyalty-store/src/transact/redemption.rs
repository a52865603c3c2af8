//! Redemptions inside a transaction. A redemption, its price rule and its code have one number, and each
//! transaction leaves the code as the redemption is: usable where that can be used or was, else switched off.

use std::collections::BTreeSet;

use loyalty_core::discount::{PriceRule, PriceRuleParts};
use loyalty_core::redemption::{Redemption, RedemptionState};
use loyalty_core::{
    AccountId, Amount, CodeId, Command, OrderId, OrderState, PriceRuleId, RedemptionId, RewardId,
};

use super::{Transaction, TransactionError, TransactionView};
use crate::customer_ref::CustomerRef;
use crate::discount::lookup::{self, DiscountView};
use crate::error::{Failure, Rejection};
use crate::redemption::{self, RedemptionAction, RedemptionView};
use crate::request::{EmailConflict, Existence, Receipt};

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_redemption(
        &mut self,
        action: RedemptionAction,
    ) -> Result<Receipt, TransactionError> {
        match action {
            RedemptionAction::Issue { customer: who, reward, amount, entropy } => {
                self.issue_redemption(&who, reward, amount, entropy)
            }
            RedemptionAction::Cancel { id } => {
                self.run_redemption_command(id, &Command::CancelRedemption { redemption: id })
            }
            RedemptionAction::Use { id, order } => {
                self.run_redemption_command(id, &Command::UseRedemption { redemption: id, order })
            }
        }
    }

    fn issue_redemption(
        &mut self,
        who: &CustomerRef,
        reward: RewardId,
        amount: Option<Amount>,
        entropy: [u8; 16],
    ) -> Result<Receipt, TransactionError> {
        let found = self.resolve_customer(who, Existence::Required, EmailConflict::Ignore)?;
        // Named after the row that issues it.
        let id = RedemptionId(self.next_seq());
        let command = Command::RedeemReward { redemption: id, reward, amount, entropy };
        self.run_command(Some(found.account), &command)?;
        let issued = self.load_redemption(id)?;
        self.create_redemption_code(found.account, &issued.redemption)?;
        Ok(Receipt {
            redemption: Some(Box::new(issued)),
            ..self.build_receipt(Some(&found), None)?
        })
    }

    /// Makes the price rule and the code that stand for a redemption, where a code does.
    fn create_redemption_code(
        &mut self,
        account: AccountId,
        redemption: &Redemption,
    ) -> Result<(), TransactionError> {
        let issue = redemption.issue();
        let Some(code) = &issue.code else { return Ok(()) };
        let lost = || Failure::Corrupt(format!("redemption {} has no reward", issue.id));
        let (_, program) = self.load_program(Some(issue.program))?;
        let reward = program.reward(&issue.reward).ok_or_else(lost)?;
        let customer = self.load_customer(account)?;
        let customer = customer
            .as_ref()
            .map(|customer| (customer.id.as_ref(), customer.email.as_ref()));
        let rule = issue.price_rule(reward, customer.unwrap_or_default(), self.shop.minor_digits());
        // What the rules issue has a rule that holds; anything else is a fault of ours.
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
        let known = redemption::find_redemption(self, self.shop.id, id)?
            .ok_or(Rejection::RedemptionNotFound)?;
        let account = self.resolve_merged(known.account)?;
        self.run_command(Some(account), command)?;
        self.update_redemption_code(id)?;
        let found = super::ResolvedCustomer { account, created: false, registered: false };
        let redemption = Some(Box::new(self.load_redemption(id)?));
        Ok(Receipt { redemption, ..self.build_receipt(Some(&found), None)? })
    }

    fn load_redemption(&mut self, id: RedemptionId) -> Result<RedemptionView, Failure> {
        let lost = || Failure::Corrupt(format!("redemption {id} is missing"));
        redemption::find_redemption(self, self.shop.id, id)?.ok_or_else(lost)
    }

    /// A redemption, where it is one of this account now.
    pub(super) fn load_own_redemption(
        &mut self,
        account: Option<AccountId>,
        id: RedemptionId,
    ) -> Result<Option<Redemption>, Failure> {
        let Some(known) = redemption::find_redemption(self, self.shop.id, id)? else {
            return Ok(None);
        };
        let holder = self.resolve_merged(known.account)?;
        Ok((account == Some(holder)).then_some(known.redemption))
    }

    /// Lets the code be what the redemption is now. What the shop has done away with stays so.
    fn update_redemption_code(&mut self, id: RedemptionId) -> Result<(), TransactionError> {
        let RedemptionId(number) = id;
        let shop = self.shop.id;
        let redemption = self.load_redemption(id)?.redemption;
        let Some(code) = lookup::find_code(self, shop, CodeId(number))? else {
            return Ok(());
        };
        let on = match redemption.state() {
            RedemptionState::Issued | RedemptionState::Used { .. } => true,
            RedemptionState::Cancelled { .. } => false,
            // Its price rule has ended.
            RedemptionState::Expired { .. } => code.enabled,
        };
        if code.enabled != on {
            self.switch_code(code.id, on)?;
        }
        let rule = self.load_rule(code.rule)?;
        let again = *redemption.state() == RedemptionState::Issued
            && redemption.ends_at() != rule.rule.parts().ends_at;
        if again {
            let parts =
                PriceRuleParts { ends_at: redemption.ends_at(), ..rule.rule.parts().clone() };
            // A rule that the shop has changed so that it cannot end then stays as it is.
            if let Ok(longer) = PriceRule::new(parts, rule.rule.minor_digits()) {
                self.save_rule(Some(rule.id), &longer)?;
            }
        }
        Ok(())
    }

    /// What an order that brings codes of redemptions, or no longer does, means for these. Whatever the order
    /// says is a fact; what a code could have been used for by then does not matter.
    pub(super) fn update_order_redemptions(
        &mut self,
        order: &OrderId,
        before: &OrderState,
    ) -> Result<(), TransactionError> {
        let now = self.load_order(order)?;
        let had = self.find_order_redemptions(before)?;
        let all = self.find_order_redemptions(&now.state)?;
        let brings = if now.state.is_cancelled() { BTreeSet::new() } else { all.clone() };
        for id in had.union(&all) {
            let Some(known) = redemption::find_redemption(self, self.shop.id, *id)? else {
                continue;
            };
            let account = self.resolve_merged(known.account)?;
            let (redemption, order) = (*id, order.clone());
            let command = if brings.contains(id) {
                Command::ClaimRedemption { redemption, order }
            } else {
                Command::ReleaseRedemption { redemption, order }
            };
            self.run_command(Some(account), &command)?;
            self.update_redemption_code(*id)?;
        }
        Ok(())
    }

    /// The redemptions whose codes an order's latest report brings.
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
