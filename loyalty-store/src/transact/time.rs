//! What time has to do with a transaction: what is due next for each account that it changes, what is due
//! now and is written down, and what must be found anew after a publication.

use std::sync::Arc;

use loyalty_core::{AccountId, Command, Program, ProgramVersion};

use super::{Found, Stop, Transaction, View, put};
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord};
use crate::request::Receipt;
use crate::terms::{History, Subject, Terms};

impl<V: View> Transaction<'_, V> {
    /// Writes down what time has brought about for an account.
    pub(super) fn catch_up(&mut self, account: AccountId) -> Result<Receipt, Stop> {
        let account = self.follow(account)?;
        if self.load_account(account)?.shop != self.shop.id {
            return Err(crate::error::Rejection::CustomerNotFound.into());
        }
        self.command(Some(account), &Command::CatchUp)?;
        self.receipt(Some(&Found { account, created: false, registered: false }), None)
    }

    /// Finds anew what is due next for some more accounts, where a program was published.
    pub(super) fn find_due(&mut self, limit: usize) -> Result<Receipt, Stop> {
        let history = self.load_history()?;
        let limit = limit.max(1);
        if let Some(after) = history.sweep() {
            let accounts = self.view.accounts(self.shop.id, after, limit)?;
            let up_to = accounts.last().copied().filter(|_| accounts.len() >= limit);
            self.moved.extend(accounts);
            self.note_dues()?;
            self.changes.history = Some(Arc::new(history.swept(up_to)));
        }
        self.receipt(None, None)
    }

    /// What is due next for the accounts that were changed. Where a row of the journal says that they were,
    /// a restart finds it again; elsewhere it must be written.
    pub(super) fn note_dues(&mut self) -> Result<(), Failure> {
        let mut moved = std::mem::take(&mut self.moved);
        moved.sort_unstable();
        moved.dedup();
        for account in moved {
            let record = self.load_account(account)?;
            let customer = self.load_customer(account)?;
            let subject = Subject {
                id: Some(account),
                account: Some(&record.account),
                customer: customer.as_deref(),
            };
            let due = self.load_terms(account)?.next_due(&subject);
            if due == record.due {
                continue;
            }
            if !self.changes.journal.iter().any(|row| row.account == Some(account)) {
                put(&mut self.changes.dues, account, due);
            }
            put(
                &mut self.changes.accounts,
                account,
                Arc::new(AccountRecord { due, ..(*record).clone() }),
            );
        }
        Ok(())
    }

    /// Birthday and tags decide what time brings about. What it has brought about by now is decided by what
    /// was known until now.
    pub(super) fn change_what_decides(
        &mut self,
        before: &CustomerRecord,
        after: &mut CustomerRecord,
    ) -> Result<(), Stop> {
        let birthday = before.profile.birthday != after.profile.birthday;
        if !birthday && before.profile.tags == after.profile.tags {
            return Ok(());
        }
        self.command(Some(before.account), &Command::CatchUp)?;
        let now = self.now.max(self.load_account(before.account)?.at);
        after.steady_since = now;
        if birthday {
            after.birthday_set_at = Some(now);
        }
        self.moved.push(before.account);
        Ok(())
    }

    pub(super) fn load_history(&mut self) -> Result<Arc<History>, Failure> {
        if let Some(history) = &self.changes.history {
            return Ok(Arc::clone(history));
        }
        let shop = self.shop.id;
        self.view
            .history(shop)?
            .ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))
    }

    /// The programs that an account has to do with.
    pub(super) fn load_terms(&mut self, account: AccountId) -> Result<Arc<Terms>, Failure> {
        let history = self.load_history()?;
        let record = self.load_account(account)?;
        let customer = self.load_customer(account)?;
        history.terms_of(&record, customer.as_deref(), |version| self.version(version))
    }

    fn version(&mut self, version: ProgramVersion) -> Result<Arc<Program>, Failure> {
        let (_, program) = self.load_program(Some(version))?;
        Ok(program)
    }
}
