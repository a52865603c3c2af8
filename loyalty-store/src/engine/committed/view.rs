//! The committed state as a view, for reads and as the base of a decision's overlays.

use std::sync::Arc;

use loyalty_core::{
    AccountId, CategoryId, CodeId, CustomerId, Email, ImportId, OrderId, PriceRuleId, ProductId,
    Program, ProgramVersion, ShopId, Timestamp, VariantId,
};

use super::CommittedState;
use crate::catalogue::{CategoryRecord, ProductRecord, SavedSearch};
use crate::discount::lookup::DiscountView;
use crate::engine::backend::{Backend, TableReader};
use crate::erasure::{Erasure, ErasureKey, PersonHash};
use crate::error::Failure;
use crate::import::{ImportRecord, ImportView};
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord};
use crate::shop::Shop;
use crate::timeline::ProgramTimeline;
use crate::transact::{
    CatalogueView, CodeClaim, CodeClaimView, ErasureView, StateView, StoredResponse,
};

impl<B: Backend> StateView for &CommittedState<B> {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        CommittedState::shop(self, shop)
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        CommittedState::program(self, shop, version)
    }

    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        CommittedState::timeline(self, shop)
    }

    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        self.with_reader(|tables| tables.account_ids(shop, after, limit))
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        CommittedState::account(self, account)
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        CommittedState::customer(self, account)
    }

    fn account_by_id(
        &mut self,
        shop: ShopId,
        id: &CustomerId,
    ) -> Result<Option<AccountId>, Failure> {
        CommittedState::account_by_id(self, &(shop, id.clone()))
    }

    fn account_by_email(
        &mut self,
        shop: ShopId,
        email: &Email,
    ) -> Result<Option<AccountId>, Failure> {
        CommittedState::account_by_email(self, &(shop, email.key().to_owned()))
    }

    fn order(
        &mut self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        CommittedState::order(self, &(shop, order.clone()))
    }

    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure> {
        let response = CommittedState::stored_response(self, &(shop, *key))?;
        let response = response.filter(|response| response.is_replayable(now));
        Ok(response.map(|response| (*response).clone()))
    }
}

impl<B: Backend> DiscountView for &CommittedState<B> {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure> {
        CommittedState::projection(self, &(shop, key.clone()))
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        CommittedState::code_by_key(self, &(shop, key.to_owned()))
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        CommittedState::rule_emails(self, (shop, rule))
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        CatalogueView::saved_search(self, shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        CommittedState::customer_view(self, account)
    }
}

/// The catalogue has no cache: a look-up by key in its tables costs less than one would.
impl<B: Backend> CatalogueView for &CommittedState<B> {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        self.with_reader(|tables| tables.product(shop, id))
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        self.with_reader(|tables| tables.category(shop, id))
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.with_reader(|tables| tables.saved_search(shop, number))
    }

    fn search_by_name(&mut self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure> {
        self.with_reader(|tables| tables.search_by_name(shop, name))
    }

    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure> {
        self.with_reader(|tables| tables.variant_number(shop, id))
    }

    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure> {
        self.with_reader(|tables| tables.assigned_count(shop))
    }
}

impl<B: Backend> CodeClaimView for &CommittedState<B> {
    fn find_claimant(
        &mut self,
        shop: ShopId,
        claim: &CodeClaim,
    ) -> Result<Option<AccountId>, Failure> {
        self.with_reader(|tables| tables.claimant(shop, claim))
    }
}

impl<B: Backend> ErasureView for &CommittedState<B> {
    fn erasure_key(&mut self) -> Result<Arc<ErasureKey>, Failure> {
        CommittedState::erasure_key(self)
    }

    fn has_erasures(&mut self) -> bool {
        !self.erasures().is_empty()
    }

    fn erasure(
        &mut self,
        shop: ShopId,
        hash: &PersonHash,
    ) -> Result<Option<Arc<Erasure>>, Failure> {
        Ok(self.erasures().find(shop, hash))
    }
}

impl<B: Backend> ImportView for &CommittedState<B> {
    fn import(
        &mut self,
        shop: ShopId,
        id: &ImportId,
    ) -> Result<Option<Arc<ImportRecord>>, Failure> {
        Ok(self.with_reader(|tables| tables.import(shop, id))?.map(Arc::new))
    }
}
