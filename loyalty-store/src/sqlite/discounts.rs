//! Price rules and discount codes as rows: the small records behind the journal, and the index with it.

use std::sync::Arc;

use loyalty_core::discount::Code;
use loyalty_core::{
    AccountId, CheckoutId, CodeId, Email, OrderId, PriceRuleId, RedemptionId, RewardId, ShopId,
    Timestamp,
};
use rusqlite::{Connection, Row, Statement, params};

use super::SqliteStore;
use super::catalogue::read_search;
use super::committed::CommittedState;
use super::rows::{
    self, corrupt, for_each_row, from_json, from_micros, query_one, to_json, to_micros,
};
use crate::catalogue::SavedSearch;
use crate::discount::index::{DiscountIndex, IndexChange};
use crate::discount::lookup::{self, CartFacts, DiscountView};
use crate::discount::{CartQuery, CheckoutView, CodeBatch, CodeView, Discounts, PriceRuleView};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey, ProjectionState};
use crate::query::{CustomerView, Page};
use crate::record::Seq;

type Db = Connection;

// The records. A key is its kind, a number and a text.

fn encode_key(key: &ProjectionKey) -> (i64, i64, String) {
    match key {
        ProjectionKey::Rule(rule) => (1, rule.0, String::new()),
        ProjectionKey::Code(code) => (2, code.0, String::new()),
        ProjectionKey::Tally(code, account) => (3, code.0, account.to_string()),
        ProjectionKey::Checkout(checkout) => (4, 0, checkout.to_string()),
        ProjectionKey::Order(order) => (5, 0, order.to_string()),
        ProjectionKey::MergedAccounts(account) => (6, account.0, String::new()),
        ProjectionKey::Redemption(redemption) => (7, redemption.0, String::new()),
        ProjectionKey::Reward(reward) => (8, 0, reward.to_string()),
    }
}

fn decode_key(kind: i64, id: i64, text: &str) -> Result<ProjectionKey, Failure> {
    let no_id = |_| corrupt("a key", &text);
    Ok(match kind {
        1 => ProjectionKey::Rule(PriceRuleId(id)),
        2 => ProjectionKey::Code(CodeId(id)),
        3 => ProjectionKey::Tally(
            CodeId(id),
            AccountId(text.parse().map_err(|_| corrupt("a key", &text))?),
        ),
        4 => ProjectionKey::Checkout(CheckoutId::new(text).map_err(no_id)?),
        5 => ProjectionKey::Order(OrderId::new(text).map_err(no_id)?),
        6 => ProjectionKey::MergedAccounts(AccountId(id)),
        7 => ProjectionKey::Redemption(RedemptionId(id)),
        8 => ProjectionKey::Reward(RewardId::new(text).map_err(no_id)?),
        _ => return Err(corrupt("the kind of a record", &kind)),
    })
}

fn encode_state(state: &ProjectionState) -> Result<String, Failure> {
    match state {
        ProjectionState::Rule(state) => to_json(state),
        ProjectionState::Code(state) => to_json(state),
        ProjectionState::Tally(state) => to_json(state),
        ProjectionState::Checkout(state) => to_json(state),
        ProjectionState::Order(state) => to_json(state),
        ProjectionState::MergedAccounts(state) => to_json(state),
        ProjectionState::Redemption(state) => to_json(state),
        ProjectionState::Reward(state) => to_json(state),
    }
}

fn decode_state(key: &ProjectionKey, text: &str) -> Result<ProjectionState, Failure> {
    Ok(match key {
        ProjectionKey::Rule(_) => ProjectionState::Rule(from_json(text)?),
        ProjectionKey::Code(_) => ProjectionState::Code(from_json(text)?),
        ProjectionKey::Tally(..) => ProjectionState::Tally(from_json(text)?),
        ProjectionKey::Checkout(_) => ProjectionState::Checkout(from_json(text)?),
        ProjectionKey::Order(_) => ProjectionState::Order(from_json(text)?),
        ProjectionKey::MergedAccounts(_) => ProjectionState::MergedAccounts(from_json(text)?),
        ProjectionKey::Redemption(_) => ProjectionState::Redemption(from_json(text)?),
        ProjectionKey::Reward(_) => ProjectionState::Reward(from_json(text)?),
    })
}

fn decode_projection(
    key: &ProjectionKey,
    row: &Row<'_>,
    from: usize,
) -> Result<Projection, Failure> {
    let column = |offset: usize| from.saturating_add(offset);
    let text = row.get_ref(column(3))?;
    let text = text.as_str().map_err(|error| corrupt("a record", &error))?;
    Ok(Projection {
        seq: row.get(column(0))?,
        created_at: from_micros(row.get(column(1))?)?,
        updated_at: from_micros(row.get(column(2))?)?,
        state: decode_state(key, text)?,
    })
}

pub(super) fn read_projection(
    db: &Db,
    shop: ShopId,
    key: &ProjectionKey,
) -> Result<Option<Projection>, Failure> {
    let (kind, id, text) = encode_key(key);
    let sql = "SELECT seq, created_at, updated_at, state FROM keyed
        WHERE shop = ? AND kind = ? AND id = ? AND text = ?";
    query_one(db, sql, params![shop.0, kind, id, text], |row| decode_projection(key, row, 0))
}

/// The keys behind one of them, in their order.
pub(super) fn read_projection_keys(
    db: &Db,
    after: Option<&(ShopId, ProjectionKey)>,
    limit: usize,
) -> Result<Vec<(ShopId, ProjectionKey)>, Failure> {
    let sql = "SELECT shop, kind, id, text FROM keyed WHERE (shop, kind, id, text) > (?, ?, ?, ?)
        ORDER BY shop, kind, id, text LIMIT ?";
    let (shop, (kind, id, text)) =
        after.map_or((0, (0, 0, String::new())), |(shop, key)| (shop.0, encode_key(key)));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, kind, id, text, rows::sql_limit(limit)], |row| {
        let text: String = row.get(3)?;
        keys.push((ShopId(row.get(0)?), decode_key(row.get(1)?, row.get(2)?, &text)?));
        Ok(())
    })?;
    Ok(keys)
}

pub(super) fn for_each_projection(
    db: &Db,
    mut visit: impl FnMut((ShopId, ProjectionKey), Projection),
) -> Result<(), Failure> {
    for_each_row(
        db,
        "SELECT shop, kind, id, text, seq, created_at, updated_at, state FROM keyed",
        [],
        |row| {
            let text: String = row.get(3)?;
            let key = decode_key(row.get(1)?, row.get(2)?, &text)?;
            let record = decode_projection(&key, row, 4)?;
            visit((ShopId(row.get(0)?), key), record);
            Ok(())
        },
    )
}

pub(super) const UPSERT_PROJECTION: &str = "INSERT INTO keyed (shop, kind, id, text, seq, created_at, updated_at, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, kind, id, text) DO UPDATE SET seq = excluded.seq, created_at = excluded.created_at,
            updated_at = excluded.updated_at, state = excluded.state
        WHERE excluded.seq > seq";

/// A state never steps back, whoever writes it.
pub(super) fn upsert_projection(
    put: &mut Statement<'_>,
    (shop, key): &(ShopId, ProjectionKey),
    record: &Projection,
) -> Result<(), Failure> {
    let (kind, id, text) = encode_key(key);
    let Projection { seq, created_at, updated_at, .. } = *record;
    let state = encode_state(&record.state)?;
    put.execute(params![
        shop.0,
        kind,
        id,
        text,
        seq,
        to_micros(created_at),
        to_micros(updated_at),
        state
    ])?;
    Ok(())
}

// The index.

pub(super) fn write_index_change(
    db: &Db,
    shop: ShopId,
    change: &IndexChange,
) -> Result<(), Failure> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), Failure> {
        db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    match change {
        IndexChange::PutRule(rule) => run(
            "INSERT INTO price_rule (id, shop) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
            params![rule.0, shop.0],
        ),
        IndexChange::DeleteRule(rule) => {
            run("DELETE FROM price_rule WHERE id = ?", params![rule.0])
        }
        IndexChange::PutEmails(rule, emails) => {
            let emails: Vec<&str> = emails.iter().map(Email::as_str).collect();
            run(
                "UPDATE price_rule SET emails = ? WHERE id = ?",
                params![to_json(&emails)?, rule.0],
            )
        }
        IndexChange::PutCode(key, rule, code) => run(
            "INSERT INTO discount_code (shop, key, rule, id) VALUES (?, ?, ?, ?)
                ON CONFLICT (shop, key) DO UPDATE SET rule = excluded.rule, id = excluded.id",
            params![shop.0, key, rule.0, code.0],
        ),
        IndexChange::DeleteCode(key, code) => run(
            "DELETE FROM discount_code WHERE shop = ? AND key = ? AND id = ?",
            params![shop.0, key, code.0],
        ),
    }
}

/// All of it, for comparison with the journal.
pub(super) fn read_index(db: &Db) -> Result<DiscountIndex, Failure> {
    let mut index = DiscountIndex::default();
    for_each_row(db, "SELECT shop, id FROM price_rule", [], |row| {
        index.apply(ShopId(row.get(0)?), IndexChange::PutRule(PriceRuleId(row.get(1)?)));
        Ok(())
    })?;
    for_each_row(db, "SELECT shop, key, rule, id FROM discount_code", [], |row| {
        let (rule, code) = (PriceRuleId(row.get(2)?), CodeId(row.get(3)?));
        index.apply(ShopId(row.get(0)?), IndexChange::PutCode(row.get(1)?, rule, code));
        Ok(())
    })?;
    Ok(index)
}

pub(super) fn find_code_by_key(
    db: &Db,
    shop: ShopId,
    key: &str,
) -> Result<Option<CodeId>, Failure> {
    let sql = "SELECT id FROM discount_code WHERE shop = ? AND key = ?";
    query_one(db, sql, params![shop.0, key], |row| Ok(CodeId(row.get(0)?)))
}

/// The keys of codes behind one of them, in their order.
pub(super) fn read_code_keys(
    db: &Db,
    after: Option<&(ShopId, String)>,
    limit: usize,
) -> Result<Vec<(ShopId, String)>, Failure> {
    let sql =
        "SELECT shop, key FROM discount_code WHERE (shop, key) > (?, ?) ORDER BY shop, key LIMIT ?";
    let (shop, key) = after.map_or((0, ""), |(shop, key)| (shop.0, key.as_str()));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, key, rows::sql_limit(limit)], |row| {
        keys.push((ShopId(row.get(0)?), row.get(1)?));
        Ok(())
    })?;
    Ok(keys)
}

pub(super) fn read_rule_emails(
    db: &Db,
    shop: ShopId,
    rule: PriceRuleId,
) -> Result<Option<Arc<[Email]>>, Failure> {
    let sql = "SELECT emails FROM price_rule WHERE id = ? AND shop = ? AND emails IS NOT NULL";
    query_one(db, sql, params![rule.0, shop.0], |row| {
        let emails: Vec<String> = from_json(&row.get::<_, String>(0)?)?;
        let emails = emails.into_iter().map(Email::try_from).collect::<Result<Vec<_>, _>>();
        Ok(emails.map_err(|error| corrupt("an e-mail", &error))?.into())
    })
}

/// Up to so many numbers, behind one of them.
fn read_ids(db: &Db, sql: &str, of: i64, after: i64, count: usize) -> Result<Vec<i64>, Failure> {
    let mut numbers = Vec::new();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    for_each_row(db, sql, [of, after, count], |row| {
        numbers.push(row.get(0)?);
        Ok(())
    })?;
    Ok(numbers)
}

fn count_rows(db: &Db, sql: &str, of: i64) -> Result<u64, Failure> {
    let count: i64 = db.prepare_cached(sql)?.query_row([of], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// What readers see: what is committed.
impl DiscountView for &CommittedState {
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
        CommittedState::emails_of_rule(self, (shop, rule))
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.with_reader(|db| read_search(db, shop, number))
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        CommittedState::customer_view(self, account)
    }
}

impl Discounts for SqliteStore {
    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure> {
        let _well = self.committed.ensure_available()?;
        let _one_commit = self.committed.pause_publication();
        lookup::find_rule(&mut &*self.committed, shop, id)
    }

    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure> {
        let _well = self.committed.ensure_available()?;
        let _one_commit = self.committed.pause_publication();
        let sql = "SELECT id FROM price_rule WHERE shop = ? AND id > ? ORDER BY id LIMIT ?";
        let (after, room) = (after.map_or(0, |after| after.0), limit.saturating_add(1));
        let ids = self
            .committed
            .with_reader(|db| read_ids(db, sql, shop.0, after, room))?;
        let rules = ids
            .iter()
            .take(limit)
            .map(|id| lookup::find_rule(&mut &*self.committed, shop, PriceRuleId(*id)));
        let rules: Result<Vec<_>, _> = rules.collect();
        Ok(Page {
            items: rules?.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.with_reader(|db| {
            count_rows(db, "SELECT count(*) FROM price_rule WHERE shop = ?", shop.0)
        })
    }

    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure> {
        let _well = self.committed.ensure_available()?;
        lookup::find_code(&mut &*self.committed, shop, id)
    }

    fn code_by_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure> {
        let _well = self.committed.ensure_available()?;
        lookup::find_code_by_text(&mut &*self.committed, shop, text)
    }

    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure> {
        let _well = self.committed.ensure_available()?;
        let sql = "SELECT id FROM discount_code WHERE rule = ? AND id > ? ORDER BY id LIMIT ?";
        let (after, room) = (after.map_or(0, |after| after.0), limit.saturating_add(1));
        let ids = self
            .committed
            .with_reader(|db| read_ids(db, sql, rule.0, after, room))?;
        let codes = ids
            .iter()
            .take(limit)
            .map(|id| lookup::find_code(&mut &*self.committed, shop, CodeId(*id)));
        let codes: Result<Vec<_>, _> = codes.collect();
        Ok(Page {
            items: codes?.into_iter().flatten().collect(),
            has_more: ids.len() > limit,
        })
    }

    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure> {
        let _well = self.committed.ensure_available()?;
        if lookup::find_rule(&mut &*self.committed, shop, rule)?.is_none() {
            return Ok(0);
        }
        self.committed.with_reader(|db| {
            count_rows(db, "SELECT count(*) FROM discount_code WHERE rule = ?", rule.0)
        })
    }

    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure> {
        let _well = self.committed.ensure_available()?;
        let row = self.committed.with_reader(|db| rows::read_journal_row(db, id))?;
        Ok(row.and_then(|row| CodeBatch::from_row(&row, shop)))
    }

    fn checkout(
        &self,
        shop: ShopId,
        id: &CheckoutId,
        now: Timestamp,
    ) -> Result<CheckoutView, Failure> {
        let _well = self.committed.ensure_available()?;
        let _one_commit = self.committed.pause_publication();
        lookup::load_checkout(&mut &*self.committed, shop, id, now)
    }

    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure> {
        let _well = self.committed.ensure_available()?;
        let of = self.committed.shop(shop)?;
        let of = of.ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
        let _one_commit = self.committed.pause_publication();
        let program = self.committed.program(shop, None)?;
        let (_, program) =
            program.ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program")))?;
        let (id, email) = (query.cart.customer.id.clone(), query.cart.customer.email.clone());
        let named_by_id = id.is_some();
        let by_id = id
            .map(|id| self.committed.account_by_id(&(shop, id)))
            .transpose()?
            .flatten();
        let by_email =
            email.map(|email| self.committed.account_by_email(&(shop, email.key().to_owned())));
        let by_email = by_email.transpose()?.flatten();
        let mut customers = Vec::new();
        for account in by_id
            .into_iter()
            .chain(by_email.filter(|account| by_id != Some(*account)))
        {
            let record = self.committed.customer(account)?;
            let counts = |record: &Arc<_>| lookup::is_cart_customer(record, named_by_id, by_id);
            customers.extend(record.filter(counts));
        }
        CartFacts::load(&mut &*self.committed, (&of, &program), query, &customers)
    }

    fn codes_used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure> {
        let _well = self.committed.ensure_available()?;
        lookup::list_codes_used_by_order(&mut &*self.committed, shop, order)
    }
}
