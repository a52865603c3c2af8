//! Price rules and discount codes: listed from the index, read as projections.

use loyalty_core::discount::Code;
use loyalty_core::{CheckoutId, CodeId, OrderId, PriceRuleId, ShopId, Timestamp};

use super::SqliteStore;
use crate::discount::lookup::{self, CartFacts};
use crate::discount::{CartQuery, CheckoutView, CodeBatch, CodeView, Discounts, PriceRuleView};
use crate::error::Failure;
use crate::query::Page;
use crate::record::Seq;
use crate::sqlite::tables::{discount_index, journal};

impl Discounts for SqliteStore {
    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure> {
        let _available = self.committed.ensure_available()?;
        let _paused = self.committed.pause_publication();
        lookup::find_rule(&mut &*self.committed, shop, id)
    }

    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure> {
        let _available = self.committed.ensure_available()?;
        let _paused = self.committed.pause_publication();

        // One more than asked for, to know whether there are more.
        let one_more = limit.saturating_add(1);
        let ids = self
            .committed
            .with_reader(|db| discount_index::read_rule_ids(db, shop, after, one_more))?;

        let rules = ids.iter().take(limit);
        let rules = rules.map(|id| lookup::find_rule(&mut &*self.committed, shop, *id));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        Ok(Page {
            items: rules.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure> {
        self.read(|db| discount_index::count_rules(db, shop))
    }

    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure> {
        let _available = self.committed.ensure_available()?;
        lookup::find_code(&mut &*self.committed, shop, id)
    }

    fn code_by_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure> {
        let _available = self.committed.ensure_available()?;
        lookup::find_code_by_text(&mut &*self.committed, shop, text)
    }

    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure> {
        let _available = self.committed.ensure_available()?;

        let one_more = limit.saturating_add(1);
        let ids = self
            .committed
            .with_reader(|db| discount_index::read_code_ids(db, rule, after, one_more))?;

        let codes = ids.iter().take(limit);
        let codes = codes.map(|id| lookup::find_code(&mut &*self.committed, shop, *id));
        let codes = codes.collect::<Result<Vec<_>, _>>()?;
        Ok(Page {
            items: codes.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure> {
        let _available = self.committed.ensure_available()?;
        if lookup::find_rule(&mut &*self.committed, shop, rule)?.is_none() {
            return Ok(0);
        }
        self.committed.with_reader(|db| discount_index::count_codes(db, rule))
    }

    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure> {
        let row = self.read(|db| journal::read_journal_row(db, id))?;
        Ok(row.and_then(|row| CodeBatch::from_row(&row, shop)))
    }

    fn checkout(
        &self,
        shop: ShopId,
        id: &CheckoutId,
        now: Timestamp,
    ) -> Result<CheckoutView, Failure> {
        let _available = self.committed.ensure_available()?;
        let _paused = self.committed.pause_publication();
        lookup::load_checkout(&mut &*self.committed, shop, id, now)
    }

    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure> {
        let _available = self.committed.ensure_available()?;
        let found = self.committed.shop(shop)?;
        let found = found.ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
        let _paused = self.committed.pause_publication();
        let program = self.committed.program(shop, None)?;
        let (_, program) =
            program.ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))?;

        // A cart can name its customer by id and by e-mail, and both can be known.
        let customer = &query.cart.customer;
        let by_id = match &customer.id {
            Some(id) => self.committed.account_by_id(&(shop, id.clone()))?,
            None => None,
        };
        let by_email = match &customer.email {
            Some(email) => self.committed.account_by_email(&(shop, email.key().to_owned()))?,
            None => None,
        };
        let named_by_id = customer.id.is_some();

        let mut customers = Vec::new();
        let by_email = by_email.filter(|account| by_id != Some(*account));
        for account in by_id.into_iter().chain(by_email) {
            let record = self.committed.customer(account)?;
            customers.extend(
                record.filter(|record| lookup::is_cart_customer(record, named_by_id, by_id)),
            );
        }
        CartFacts::load(&mut &*self.committed, (&found, &program), query, &customers)
    }

    fn codes_used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure> {
        let _available = self.committed.ensure_available()?;
        lookup::list_codes_used_by_order(&mut &*self.committed, shop, order)
    }

    fn rules_used_by_order(
        &self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Vec<PriceRuleId>, Failure> {
        let _available = self.committed.ensure_available()?;
        lookup::list_rules_used_by_order(&mut &*self.committed, shop, order)
    }
}
