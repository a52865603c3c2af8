//! What time has to do with a transaction: what is due next for each account that it changes, what is due
//! now and is written down, and what must be found anew after a publication.

use std::sync::Arc;

use loyalty_core::{AccountId, Command, Program, ProgramVersion};

use super::{ResolvedCustomer, Transaction, TransactionError, TransactionView, upsert};
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord};
use crate::request::Receipt;
use crate::timeline::{ApplicablePrograms, ProgramTimeline, RuleSubject};

impl<V: TransactionView> Transaction<'_, V> {
    /// Writes down what time has brought about for an account.
    pub(super) fn catch_up(&mut self, account: AccountId) -> Result<Receipt, TransactionError> {
        let account = self.resolve_merged(account)?;
        if self.load_account(account)?.shop != self.shop.id {
            return Err(crate::error::Rejection::CustomerNotFound.into());
        }
        self.run_command(Some(account), &Command::CatchUp)?;
        self.build_receipt(
            Some(&ResolvedCustomer { account, created: false, registered: false }),
            None,
        )
    }

    /// Finds anew what is due next for some more accounts, where a program was published.
    pub(super) fn reschedule_due(&mut self, limit: usize) -> Result<Receipt, TransactionError> {
        let history = self.load_timeline()?;
        let limit = limit.max(1);
        if let Some(after) = history.reschedule_cursor() {
            let accounts = self.view.accounts(self.shop.id, after, limit)?;
            let up_to = accounts.last().copied().filter(|_| accounts.len() >= limit);
            self.to_reschedule.extend(accounts);
            self.reschedule_changed()?;
            self.changes.timeline = Some(Arc::new(history.with_reschedule_cursor(up_to)));
        }
        self.build_receipt(None, None)
    }

    /// What is due next for the accounts that were changed. Where a row of the journal says that they were,
    /// a restart finds it again; elsewhere it must be written.
    pub(super) fn reschedule_changed(&mut self) -> Result<(), Failure> {
        let mut moved = std::mem::take(&mut self.to_reschedule);
        moved.sort_unstable();
        moved.dedup();
        for account in moved {
            let record = self.load_account(account)?;
            let customer = self.load_customer(account)?;
            let subject = RuleSubject {
                id: Some(account),
                account: Some(&record.account),
                customer: customer.as_deref(),
            };
            let due = self.load_programs(account)?.next_due(&subject);
            if due == record.due {
                continue;
            }
            if !self.changes.journal.iter().any(|row| row.account == Some(account)) {
                upsert(&mut self.changes.due_changes, account, due);
            }
            upsert(
                &mut self.changes.accounts,
                account,
                Arc::new(AccountRecord { due, ..(*record).clone() }),
            );
        }
        Ok(())
    }

    /// Birthday and tags decide what time brings about. What it has brought about by now is decided by what
    /// was known until now.
    pub(super) fn catch_up_before_change(
        &mut self,
        before: &CustomerRecord,
        after: &mut CustomerRecord,
    ) -> Result<(), TransactionError> {
        let birthday = before.profile.birthday != after.profile.birthday;
        if !birthday && before.profile.tags == after.profile.tags {
            return Ok(());
        }
        self.run_command(Some(before.account), &Command::CatchUp)?;
        let now = self.now.max(self.load_account(before.account)?.at);
        after.attributes_changed_at = now;
        if birthday {
            after.birthday_set_at = Some(now);
        }
        self.to_reschedule.push(before.account);
        Ok(())
    }

    pub(super) fn load_timeline(&mut self) -> Result<Arc<ProgramTimeline>, Failure> {
        if let Some(history) = &self.changes.timeline {
            return Ok(Arc::clone(history));
        }
        let shop = self.shop.id;
        self.view
            .timeline(shop)?
            .ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))
    }

    /// The programs that an account has to do with.
    pub(super) fn load_programs(
        &mut self,
        account: AccountId,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        let history = self.load_timeline()?;
        let record = self.load_account(account)?;
        let customer = self.load_customer(account)?;
        history.programs_for(&record, customer.as_deref(), |version| self.load_version(version))
    }

    fn load_version(&mut self, version: ProgramVersion) -> Result<Arc<Program>, Failure> {
        let (_, program) = self.load_program(Some(version))?;
        Ok(program)
    }
}
