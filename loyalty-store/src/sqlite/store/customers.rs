//! Finding customers: by keys, and by scanning a shop.

use std::ops::ControlFlow;

use loyalty_core::{AccountId, ShopId};
use rusqlite::Connection;

use super::SqliteStore;
use crate::customer_ref::CustomerRef;
use crate::error::Failure;
use crate::query::CustomerView;
use crate::record::CustomerRecord;
use crate::search::{SearchKey, SearchQuery};
use crate::sqlite::tables::customer;

/// The number of customers that a scan visits under one availability guard.
pub(in crate::sqlite) const SCAN_CHUNK: usize = 512;

impl SqliteStore {
    /// Runs one read on a connection, under the availability guard.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.with_reader(read)
    }
}

/// Look-ups by keys. The caller holds the availability guard, which no thread may take twice.
impl SqliteStore {
    pub(super) fn find_customer(
        &self,
        shop: ShopId,
        who: &CustomerRef,
    ) -> Result<Option<CustomerView>, Failure> {
        let account = match who {
            CustomerRef::Id(id) | CustomerRef::Both(id, _) => {
                self.committed.account_by_id(&(shop, id.clone()))?
            }
            CustomerRef::Email(email) => {
                self.committed.account_by_email(&(shop, email.key().to_owned()))?
            }
        };
        let Some(account) = account else { return Ok(None) };
        if let Some(customer) = self.committed.customer_view(account)? {
            return Ok(Some(customer));
        }

        // A guest whose merge is being published: the file has the e-mail's new account already.
        let CustomerRef::Email(email) = who else { return Ok(None) };
        let account = self
            .committed
            .with_reader(|db| customer::find_account_by_email(db, shop, email.key()))?;
        account.map_or(Ok(None), |account| self.committed.customer_view(account))
    }

    /// Returns the customer of an account, or of the account that it was merged into.
    pub(super) fn customer_of_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let mut account = account;
        while let Some(record) = self.committed.account(account)? {
            match record.account.merged_into() {
                Some(into) => account = into,
                None => break,
            }
        }
        let customer = self.committed.customer_view(account)?;
        Ok(customer.filter(|customer| customer.record().shop == shop))
    }

    /// Returns the customers of keys that match a search, by account.
    pub(super) fn find_by_keys(
        &self,
        shop: ShopId,
        keys: &[SearchKey],
        search: &SearchQuery,
    ) -> Result<Vec<CustomerView>, Failure> {
        let mut found = Vec::new();
        for key in keys {
            found.extend(match key {
                SearchKey::Customer(who) => self.find_customer(shop, who)?,
                SearchKey::Account(account) => self.customer_of_account(shop, *account)?,
            });
        }

        found.retain(|customer| search.matches(customer));
        found.sort_by_key(|customer| customer.record().account);
        found.dedup_by_key(|customer| customer.record().account);
        Ok(found)
    }
}

/// Scans. They take the availability guard themselves.
impl SqliteStore {
    /// Returns `true` if a customer matches a search. The account is loaded only if the search needs
    /// it.
    pub(super) fn matches(
        &self,
        search: &SearchQuery,
        record: &CustomerRecord,
    ) -> Result<bool, Failure> {
        if let Some(matches) = search.matches_record(record) {
            return Ok(matches);
        }
        let customer = self.committed.customer_view_uncached(record)?;
        Ok(customer.is_some_and(|customer| search.matches(&customer)))
    }

    /// Visits a shop's customers after an account, oldest first, until the visitor breaks. It
    /// releases the guard between chunks, so that recovery does not wait for the end.
    pub(in crate::sqlite) fn scan_customers(
        &self,
        shop: ShopId,
        after: AccountId,
        mut visit: impl FnMut(CustomerRecord) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let mut next = Some(after);
        while let Some(after) = next.take() {
            let mut visited = 0_usize;
            self.read(|db| {
                customer::scan_customers(db, shop, after, |record| {
                    let account = record.account;
                    visited = visited.saturating_add(1);
                    let flow = visit(record)?;

                    if flow.is_continue() && visited >= SCAN_CHUNK {
                        next = Some(account);
                        return Ok(ControlFlow::Break(()));
                    }
                    Ok(flow)
                })
            })?;
        }
        Ok(())
    }
}
