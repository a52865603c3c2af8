//! Redemptions inside a transaction. A redemption, its price rule and its code have one number, and each
//! transaction leaves the code as the redemption is: usable where that can be used or was, else switched off.

use std::collections::BTreeSet;

use loyalty_core::discount::{PriceRuleParts, PriceRule};
use loyalty_core::redemption::{Redemption, RedemptionState};
use loyalty_core::{
    AccountId, Amount, CodeId, Command, OrderId, OrderState, PriceRuleId, RedemptionId, RewardId,
};

use super::{Stop, Transaction, View};
use crate::discount::facts::{self, DiscountView};
use crate::error::{Failure, Rejection};
use crate::redemption::{self, RedemptionAction, RedemptionView};
use crate::request::{EmailConflict, Presence, Receipt, Who};

impl<V: View> Transaction<'_, V> {
    pub(super) fn redemption(&mut self, action: RedemptionAction) -> Result<Receipt, Stop> {
        match action {
            RedemptionAction::Issue { who, reward, amount, entropy } => {
                self.issue(&who, reward, amount, entropy)
            }
            RedemptionAction::Cancel { id } => {
                self.about_redemption(id, &Command::CancelRedemption { redemption: id })
            }
            RedemptionAction::Use { id, order } => {
                self.about_redemption(id, &Command::UseRedemption { redemption: id, order })
            }
        }
    }

    fn issue(
        &mut self,
        who: &Who,
        reward: RewardId,
        amount: Option<Amount>,
        entropy: [u8; 16],
    ) -> Result<Receipt, Stop> {
        let found = self.find(who, Presence::Must, EmailConflict::Ignore)?;
        // Named after the row that issues it.
        let id = RedemptionId(self.next_seq());
        let command = Command::RedeemReward { redemption: id, reward, amount, entropy };
        self.command(Some(found.account), &command)?;
        let issued = self.issued(id)?;
        self.give_code(found.account, &issued.redemption)?;
        Ok(Receipt {
            redemption: Some(Box::new(issued)),
            ..self.receipt(Some(&found), None)?
        })
    }

    /// Makes the price rule and the code that stand for a redemption, where a code does.
    fn give_code(&mut self, account: AccountId, redemption: &Redemption) -> Result<(), Stop> {
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

    fn about_redemption(&mut self, id: RedemptionId, command: &Command) -> Result<Receipt, Stop> {
        let known =
            redemption::redemption(self, self.shop.id, id)?.ok_or(Rejection::RedemptionNotFound)?;
        let account = self.follow(known.account)?;
        self.command(Some(account), command)?;
        self.settle_code(id)?;
        let found = super::Found { account, created: false, registered: false };
        let redemption = Some(Box::new(self.issued(id)?));
        Ok(Receipt { redemption, ..self.receipt(Some(&found), None)? })
    }

    fn issued(&mut self, id: RedemptionId) -> Result<RedemptionView, Failure> {
        let lost = || Failure::Corrupt(format!("redemption {id} is missing"));
        redemption::redemption(self, self.shop.id, id)?.ok_or_else(lost)
    }

    /// A redemption, where it is one of this account now.
    pub(super) fn redemption_of(
        &mut self,
        account: Option<AccountId>,
        id: RedemptionId,
    ) -> Result<Option<Redemption>, Failure> {
        let Some(known) = redemption::redemption(self, self.shop.id, id)? else {
            return Ok(None);
        };
        let holder = self.follow(known.account)?;
        Ok((account == Some(holder)).then_some(known.redemption))
    }

    /// Lets the code be what the redemption is now. What the shop has done away with stays so.
    fn settle_code(&mut self, id: RedemptionId) -> Result<(), Stop> {
        let RedemptionId(number) = id;
        let shop = self.shop.id;
        let redemption = self.issued(id)?.redemption;
        let Some(code) = facts::code(self, shop, CodeId(number))? else {
            return Ok(());
        };
        let on = match redemption.state() {
            RedemptionState::Issued | RedemptionState::Used { .. } => true,
            RedemptionState::Cancelled { .. } => false,
            // Its price rule has ended.
            RedemptionState::Expired { .. } => code.on,
        };
        if code.on != on {
            self.switch_code(code.id, on)?;
        }
        let rule = self.rule(code.rule)?;
        let again = *redemption.state() == RedemptionState::Issued
            && redemption.ends_at() != rule.rule.parts().ends_at;
        if again {
            let parts = PriceRuleParts { ends_at: redemption.ends_at(), ..rule.rule.parts().clone() };
            // A rule that the shop has changed so that it cannot end then stays as it is.
            if let Ok(longer) = PriceRule::new(parts, rule.rule.minor_digits()) {
                self.save_rule(Some(rule.id), &longer)?;
            }
        }
        Ok(())
    }

    /// What an order that brings codes of redemptions, or no longer does, means for these. Whatever the order
    /// says is a fact; what a code could have been used for by then does not matter.
    pub(super) fn settle_redemptions(
        &mut self,
        order: &OrderId,
        before: &OrderState,
    ) -> Result<(), Stop> {
        let now = self.load_order(order)?;
        let had = self.redemptions_in(before)?;
        let all = self.redemptions_in(&now.state)?;
        let brings = if now.state.is_cancelled() { BTreeSet::new() } else { all.clone() };
        for id in had.union(&all) {
            let Some(known) = redemption::redemption(self, self.shop.id, *id)? else {
                continue;
            };
            let account = self.follow(known.account)?;
            let (redemption, order) = (*id, order.clone());
            let command = if brings.contains(id) {
                Command::ClaimRedemption { redemption, order }
            } else {
                Command::ReleaseRedemption { redemption, order }
            };
            self.command(Some(account), &command)?;
            self.settle_code(*id)?;
        }
        Ok(())
    }

    /// The redemptions whose codes an order's latest report brings.
    fn redemptions_in(&mut self, order: &OrderState) -> Result<BTreeSet<RedemptionId>, Failure> {
        let shop = self.shop.id;
        let mut found = BTreeSet::new();
        for text in order.snapshot().iter().flat_map(|recorded| &recorded.order.codes) {
            found.extend(
                self.code_of_key(shop, text.key())?
                    .map(|CodeId(number)| RedemptionId(number)),
            );
        }
        Ok(found)
    }
}
