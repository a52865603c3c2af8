//! The overlay view of a decision: its own batch, then the batch in flight, then the committed
//! state.

use std::sync::Arc;

use loyalty_core::{
    AccountId, CategoryId, CodeId, CustomerId, Email, ImportId, OrderId, PriceRuleId, ProductId,
    Program, ProgramVersion, ShopId, Timestamp, VariantId,
};

use super::{BatchState, Sequences};
use crate::catalogue::{CategoryRecord, ProductRecord, SavedSearch};
use crate::discount::lookup::DiscountView;
use crate::erasure::{Erasure, ErasureKey, PersonHash};
use crate::error::Failure;
use crate::import::{ImportRecord, ImportView};
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord, Seq};
use crate::shop::Shop;
use crate::timeline::ProgramTimeline;
use crate::transact::{
    CatalogueView, CodeClaim, CodeClaimView, ErasureView, StateView, StoredResponse,
    TransactionView,
};

/// Everything decided so far, over a view of what is committed.
pub(in crate::engine) struct BatchView<'a, V> {
    pub(in crate::engine) committed: V,
    pub(in crate::engine) batch: &'a BatchState,
    pub(in crate::engine) in_flight: Option<&'a BatchState>,
    /// False if the decision is made apart.
    pub(in crate::engine) is_place_known: bool,
}

impl<'a, V> BatchView<'a, V> {
    /// Returns what the newest batch has that has any.
    fn find_uncommitted<T>(&self, find: impl Fn(&'a BatchState) -> Option<T>) -> Option<T> {
        find(self.batch).or_else(|| self.in_flight.and_then(find))
    }
}

impl<V: StateView> TransactionView for BatchView<'_, V> {
    fn next_numbers(&self) -> (AccountId, Seq) {
        let Sequences { seq, account, .. } = self.batch.sequences;
        (AccountId(account.saturating_add(1)), seq.saturating_add(1))
    }

    fn is_place_known(&self) -> bool {
        self.is_place_known
    }
}

impl<V: StateView> StateView for BatchView<'_, V> {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.committed.shop(shop)
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        match self.find_uncommitted(|batch| batch.programs.get(&(shop, version))) {
            Some(program) => Ok(Some(program.clone())),
            None => self.committed.program(shop, version),
        }
    }

    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        match self.find_uncommitted(|batch| batch.timelines.get(&shop)) {
            Some(timeline) => Ok(Some(Arc::clone(timeline))),
            None => self.committed.timeline(shop),
        }
    }

    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        let mut accounts = self.committed.accounts(shop, after, limit)?;

        let batches = [Some(self.batch), self.in_flight].into_iter().flatten();
        let customers = batches.flat_map(|batch| batch.customers_by_account.values().flatten());
        let new = customers.filter(|record| record.shop == shop && record.account > after);
        accounts.extend(new.map(|record| record.account));

        accounts.sort_unstable();
        accounts.dedup();
        accounts.truncate(limit);
        Ok(accounts)
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        match self.find_uncommitted(|batch| batch.states.accounts.get(&account)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.account(account),
        }
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        match self.find_uncommitted(|batch| batch.customers_by_account.get(&account)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.customer(account),
        }
    }

    fn account_by_id(
        &mut self,
        shop: ShopId,
        id: &CustomerId,
    ) -> Result<Option<AccountId>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|batch| batch.accounts_by_id.get(&key)) {
            Some(account) => Ok(*account),
            None => self.committed.account_by_id(shop, id),
        }
    }

    fn account_by_email(
        &mut self,
        shop: ShopId,
        email: &Email,
    ) -> Result<Option<AccountId>, Failure> {
        let key = (shop, email.key().to_owned());
        match self.find_uncommitted(|batch| batch.accounts_by_email.get(&key)) {
            Some(account) => Ok(*account),
            None => self.committed.account_by_email(shop, email),
        }
    }

    fn order(
        &mut self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let key = (shop, order.clone());
        match self.find_uncommitted(|batch| batch.states.orders.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.order(shop, order),
        }
    }

    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure> {
        match self.find_uncommitted(|batch| batch.states.responses.get(&(shop, *key))) {
            Some((_, response)) => Ok(response.is_replayable(now).then(|| (**response).clone())),
            None => self.committed.stored_response(shop, key, now),
        }
    }
}

impl<V: StateView> DiscountView for BatchView<'_, V> {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure> {
        let of_shop = (shop, key.clone());
        match self.find_uncommitted(|batch| batch.states.projections.get(&of_shop)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.projection(shop, key),
        }
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        let of_shop = (shop, key.to_owned());
        match self.find_uncommitted(|batch| batch.codes_by_key.get(&of_shop)) {
            Some(code) => Ok(*code),
            None => self.committed.code_by_key(shop, key),
        }
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        match self.find_uncommitted(|batch| batch.emails_by_rule.get(&(shop, rule))) {
            Some(emails) => Ok(Arc::clone(emails)),
            None => self.committed.rule_emails(shop, rule),
        }
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        CatalogueView::saved_search(self, shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        let Some(customer) = self.customer(account)? else { return Ok(None) };
        let shop = customer.shop;
        let (account, timeline) = (self.account(account)?, self.timeline(shop)?);
        let (Some(account), Some(timeline)) = (account, timeline) else {
            return Ok(None);
        };

        let programs = timeline.programs_for(&account, Some(&customer), |version| {
            let found = self.program(shop, Some(version))?;
            let missing = || Failure::Corrupt(format!("shop {shop} has no program {version}"));
            found.map(|(_, program)| program).ok_or_else(missing)
        })?;
        Ok(Some(CustomerView::new(customer, account, programs)))
    }
}

impl<V: StateView> CatalogueView for BatchView<'_, V> {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|batch| batch.catalogue.products.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.product(shop, id),
        }
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|batch| batch.catalogue.categories.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.category(shop, id),
        }
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        match self.find_uncommitted(|batch| batch.catalogue.searches.get(&(shop, number))) {
            Some(search) => Ok(search.clone()),
            None => self.committed.saved_search(shop, number),
        }
    }

    fn search_by_name(&mut self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure> {
        if let Some(number) = self.batch.catalogue.find_search_by_name(shop, name) {
            return Ok(Some(number));
        }

        // A search that an older layer has may have been deleted by a newer one.
        let in_flight = self.in_flight.map(|batch| &batch.catalogue);
        let found = in_flight.and_then(|catalogue| catalogue.find_search_by_name(shop, name));
        if let Some(number) = found
            && !self.batch.catalogue.searches.contains_key(&(shop, number))
        {
            return Ok(Some(number));
        }

        let committed = self.committed.search_by_name(shop, name)?;
        Ok(committed.filter(|number| {
            let key = (shop, *number);
            self.find_uncommitted(|batch| batch.catalogue.searches.get(&key))
                .is_none()
        }))
    }

    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|batch| batch.catalogue.variant_numbers.get(&key)) {
            Some(number) => Ok(Some(*number)),
            None => self.committed.variant_number(shop, id),
        }
    }

    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure> {
        match self.find_uncommitted(|batch| batch.catalogue.last_numbers.get(&shop)) {
            Some(count) => Ok(*count),
            None => self.committed.assigned_count(shop),
        }
    }
}

impl<V: StateView> CodeClaimView for BatchView<'_, V> {
    fn find_claimant(
        &mut self,
        shop: ShopId,
        claim: &CodeClaim,
    ) -> Result<Option<AccountId>, Failure> {
        let key = (shop, claim.clone());
        match self.find_uncommitted(|batch| batch.claims.get(&key)) {
            Some(account) => Ok(Some(*account)),
            None => self.committed.find_claimant(shop, claim),
        }
    }
}

impl<V: StateView> ErasureView for BatchView<'_, V> {
    fn erasure_key(&mut self) -> Result<Arc<ErasureKey>, Failure> {
        self.committed.erasure_key()
    }

    fn has_erasures(&mut self) -> bool {
        let is_staged = |batch: &'_ BatchState| (!batch.erasures.is_empty()).then_some(());
        self.find_uncommitted(is_staged).is_some() || self.committed.has_erasures()
    }

    fn erasure(
        &mut self,
        shop: ShopId,
        hash: &PersonHash,
    ) -> Result<Option<Arc<Erasure>>, Failure> {
        let is_it = |erasure: &&Arc<Erasure>| erasure.shop == shop && erasure.has_hash(hash);
        let staged = self.find_uncommitted(|batch| batch.erasures.iter().rev().find(is_it));
        match staged {
            Some(erasure) => Ok(Some(Arc::clone(erasure))),
            None => self.committed.erasure(shop, hash),
        }
    }
}

impl<V: StateView> ImportView for BatchView<'_, V> {
    fn import(
        &mut self,
        shop: ShopId,
        id: &ImportId,
    ) -> Result<Option<Arc<ImportRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|batch| batch.imports.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.import(shop, id),
        }
    }
}
