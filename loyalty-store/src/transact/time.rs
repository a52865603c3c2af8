//! Scheduled events in transactions: recording those that are due, and recomputing the
//! due times of accounts after changes and publications.

use std::sync::Arc;

use loyalty_core::{AccountId, Command, Program, ProgramVersion};

use super::{ResolvedCustomer, Transaction, TransactionError, TransactionView, upsert};
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord};
use crate::request::Receipt;
use crate::timeline::{ApplicablePrograms, ProgramTimeline, RuleSubject};

impl<V: TransactionView> Transaction<'_, V> {
    /// Records the scheduled events of an account that are due.
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

    /// Recomputes the due times of up to `limit` more accounts after a publication.
    pub(super) fn reschedule_due(&mut self, limit: usize) -> Result<Receipt, TransactionError> {
        let timeline = self.load_timeline()?;
        let limit = limit.max(1);

        if let Some(after) = timeline.reschedule_cursor() {
            let accounts = self.view.accounts(self.shop.id, after, limit)?;
            // A page that is not full is the last one.
            let up_to = accounts.last().copied().filter(|_| accounts.len() >= limit);
            self.to_reschedule.extend(accounts);
            self.reschedule_changed()?;
            self.changes.timeline = Some(Arc::new(timeline.with_reschedule_cursor(up_to)));
        }

        self.build_receipt(None, None)
    }

    /// Recomputes the due times of the changed accounts.
    ///
    /// After a crash the due time of an account with a journal row is recomputed. The due
    /// time of any other account must be written with the transaction.
    pub(super) fn reschedule_changed(&mut self) -> Result<(), Failure> {
        let mut accounts = std::mem::take(&mut self.to_reschedule);
        accounts.sort_unstable();
        accounts.dedup();

        for account in accounts {
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

    /// Records the scheduled events that are due before birthday or tags change, because
    /// the values until then decide them.
    pub(super) fn catch_up_before_change(
        &mut self,
        before: &CustomerRecord,
        after: &mut CustomerRecord,
    ) -> Result<(), TransactionError> {
        let birthday_changes = before.profile.birthday != after.profile.birthday;
        if !birthday_changes && before.profile.tags == after.profile.tags {
            return Ok(());
        }

        self.run_command(Some(before.account), &Command::CatchUp)?;
        let now = self.now.max(self.load_account(before.account)?.at);
        after.attributes_changed_at = now;
        if birthday_changes {
            after.birthday_set_at = Some(now);
        }

        self.to_reschedule.push(before.account);
        Ok(())
    }

    pub(super) fn load_timeline(&mut self) -> Result<Arc<ProgramTimeline>, Failure> {
        if let Some(timeline) = &self.changes.timeline {
            return Ok(Arc::clone(timeline));
        }

        let shop = self.shop.id;
        self.view
            .timeline(shop)?
            .ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))
    }

    /// Returns the programs that apply to an account.
    pub(super) fn load_programs(
        &mut self,
        account: AccountId,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        let timeline = self.load_timeline()?;
        let record = self.load_account(account)?;
        let customer = self.load_customer(account)?;
        timeline.programs_for(&record, customer.as_deref(), |version| self.load_version(version))
    }

    fn load_version(&mut self, version: ProgramVersion) -> Result<Arc<Program>, Failure> {
        let (_, program) = self.load_program(Some(version))?;
        Ok(program)
    }
}
