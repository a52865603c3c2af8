//! Price rules and discount codes in memory.

use std::sync::Arc;

use loyalty_core::discount::Code;
use loyalty_core::{AccountId, CheckoutId, CodeId, Email, OrderId, PriceRuleId, ShopId, Timestamp};

use super::{MemoryStore, Tables};
use crate::catalogue::SavedSearch;
use crate::discount::lookup::{self, CartFacts, DiscountView};
use crate::discount::{CartQuery, CheckoutView, CodeBatch, CodeView, Discounts, PriceRuleView};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey};
use crate::query::{CustomerView, Page};
use crate::record::Seq;
use crate::transact::{CatalogueView, StateView};

impl DiscountView for Tables {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure> {
        Ok(self.projections.get(&(shop, key.clone())).cloned())
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        Ok(self
            .index
            .codes_by_key
            .get(&(shop, key.to_owned()))
            .map(|(_, code)| *code))
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        Ok(self.index.emails.get(&(shop, rule)).cloned().unwrap_or_default())
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.saved_search(shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        Ok(self.build_view(account))
    }
}

impl Discounts for MemoryStore {
    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure> {
        lookup::find_rule(&mut *self.tables(), shop, id)
    }

    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure> {
        let mut tables = self.tables();
        let from = (shop, PriceRuleId(after.map_or(0, |after| after.0.saturating_add(1))));
        let ids = tables.index.rules.range(from..=(shop, PriceRuleId(Seq::MAX)));
        // One more than the page, to see whether others follow.
        let ids: Vec<_> = ids.map(|(_, id)| *id).take(limit.saturating_add(1)).collect();

        let rules = ids
            .iter()
            .take(limit)
            .map(|id| lookup::find_rule(&mut *tables, shop, *id));
        let rules: Result<Vec<_>, _> = rules.collect();

        Ok(Page {
            items: rules?.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure> {
        let tables = self.tables();
        let rules = tables
            .index
            .rules
            .range((shop, PriceRuleId(0))..=(shop, PriceRuleId(Seq::MAX)));
        Ok(u64::try_from(rules.count()).unwrap_or(u64::MAX))
    }

    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure> {
        lookup::find_code(&mut *self.tables(), shop, id)
    }

    fn code_by_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure> {
        lookup::find_code_by_text(&mut *self.tables(), shop, text)
    }

    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure> {
        let mut tables = self.tables();
        let from = (rule, CodeId(after.map_or(0, |after| after.0.saturating_add(1))));
        let ids = tables.index.codes_by_rule.range(from..=(rule, CodeId(Seq::MAX)));
        let ids: Vec<_> = ids.map(|(_, id)| *id).take(limit.saturating_add(1)).collect();

        let codes = ids
            .iter()
            .take(limit)
            .map(|id| lookup::find_code(&mut *tables, shop, *id));
        let codes: Result<Vec<_>, _> = codes.collect();

        Ok(Page {
            items: codes?.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure> {
        let mut tables = self.tables();
        if lookup::find_rule(&mut *tables, shop, rule)?.is_none() {
            return Ok(0);
        }
        let codes = tables
            .index
            .codes_by_rule
            .range((rule, CodeId(0))..=(rule, CodeId(Seq::MAX)));
        Ok(u64::try_from(codes.count()).unwrap_or(u64::MAX))
    }

    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure> {
        let tables = self.tables();
        let index = usize::try_from(id.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(tables
            .journal
            .get(index)
            .and_then(|row| CodeBatch::from_row(row, shop)))
    }

    fn checkout(
        &self,
        shop: ShopId,
        id: &CheckoutId,
        now: Timestamp,
    ) -> Result<CheckoutView, Failure> {
        lookup::load_checkout(&mut *self.tables(), shop, id, now)
    }

    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure> {
        let mut tables = self.tables();
        let details = tables.shops.get(&shop).cloned();
        let details =
            details.ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
        let program = tables.find_program(shop, None);
        let (_, program) =
            program.ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))?;

        // The customers found by id and by e-mail can differ: a guest may have the
        // e-mail.
        let (id, email) = (query.cart.customer.id.as_ref(), query.cart.customer.email.as_ref());
        let by_id = id.map(|id| tables.account_by_id(shop, id)).transpose()?.flatten();
        let by_email = email
            .map(|email| tables.account_by_email(shop, email))
            .transpose()?
            .flatten();
        let accounts = by_id
            .into_iter()
            .chain(by_email.filter(|account| by_id != Some(*account)));
        let customers = accounts.filter_map(|account| tables.customers.get(&account));
        let customers =
            customers.filter(|record| lookup::is_cart_customer(record, id.is_some(), by_id));
        let customers: Vec<_> = customers.cloned().collect();

        CartFacts::load(&mut *tables, (&details, &program), query, &customers)
    }

    fn codes_used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure> {
        lookup::list_codes_used_by_order(&mut *self.tables(), shop, order)
    }

    fn rules_used_by_order(
        &self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Vec<PriceRuleId>, Failure> {
        lookup::list_rules_used_by_order(&mut *self.tables(), shop, order)
    }
}
